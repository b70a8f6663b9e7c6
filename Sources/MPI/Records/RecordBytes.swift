/// Converts between a `RecordValue` and the bytes that `RecordCodec` describes.
enum RecordBytes {
  static func encode(_ value: RecordValue) -> [UInt8] {
    var names: Set<String> = []
    collectNames(value, &names)
    let sorted = names.sorted(by: precedes)
    var writer = Writer(indices: [:], bytes: [])
    writer.write(count: sorted.count)
    for (index, name) in sorted.enumerated() {
      writer.write(text: name)
      writer.indices[name] = index
    }
    writer.write(value)
    return writer.bytes
  }

  static func decode(_ bytes: [UInt8]) throws(RecordError) -> RecordValue {
    var reader = Reader(bytes: bytes[...])
    for _ in 0..<(try reader.count()) {
      let name = try reader.text()
      if let last = reader.names.last, !precedes(last, name) { throw RecordError("the table of names is not sorted") }
      reader.names.append(name)
    }
    let value = try reader.value(depth: 0)
    guard reader.bytes.isEmpty else { throw RecordError("\(reader.bytes.count) bytes follow the record") }
    return value
  }

  private static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  private static func collectNames(_ value: RecordValue, _ names: inout Set<String>) {
    switch value {
    case .list(let values): for value in values { collectNames(value, &names) }
    case .fields(let fields):
      for (name, value) in fields {
        names.insert(name)
        collectNames(value, &names)
      }
    default: break
    }
  }

  private struct Writer {
    var indices: [String: Int]
    var bytes: [UInt8]

    mutating func write(_ value: RecordValue) {
      switch value {
      case .none: bytes.append(0)
      case .flag(let flag): bytes.append(flag ? 2 : 1)
      case .signed(let number):
        bytes.append(3)
        // Zigzag: 0, −1, 1, −2, … become 0, 1, 2, 3, …, so that small negative numbers are short.
        write(varint: UInt64(bitPattern: number << 1 ^ number >> 63))
      case .unsigned(let number):
        bytes.append(4)
        write(varint: number)
      case .float(let bits):
        bytes.append(5)
        withUnsafeBytes(of: bits.littleEndian) { bytes.append(contentsOf: $0) }
      case .double(let bits):
        bytes.append(6)
        withUnsafeBytes(of: bits.littleEndian) { bytes.append(contentsOf: $0) }
      case .text(let text):
        bytes.append(7)
        write(text: text)
      case .list(let values):
        bytes.append(8)
        write(count: values.count)
        for value in values { write(value) }
      case .fields(let fields):
        bytes.append(9)
        write(count: fields.count)
        let sorted = fields.map { (index: indices[$0.key] ?? 0, value: $0.value) }.sorted { $0.index < $1.index }
        for field in sorted {
          write(count: field.index)
          write(field.value)
        }
      }
    }

    mutating func write(text: String) {
      let utf8 = Array(text.utf8)
      write(count: utf8.count)
      bytes.append(contentsOf: utf8)
    }

    mutating func write(count: Int) { write(varint: UInt64(count)) }

    mutating func write(varint number: UInt64) {
      var rest = number
      while rest >= 0x80 {
        bytes.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
  }

  private struct Reader {
    var bytes: ArraySlice<UInt8>
    var names: [String] = []

    init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    mutating func value(depth: Int) throws(RecordError) -> RecordValue {
      guard depth < RecordCodec.depthLimit else { throw RecordError("the values nest too deeply") }
      switch try byte() {
      case 0: return .none
      case 1: return .flag(false)
      case 2: return .flag(true)
      case 3:
        let number = try varint()
        return .signed(Int64(bitPattern: number >> 1 ^ (0 &- (number & 1))))
      case 4: return .unsigned(try varint())
      case 5: return .float(try bits(UInt32.self))
      case 6: return .double(try bits(UInt64.self))
      case 7: return .text(try text())
      case 8:
        var values: [RecordValue] = []
        for _ in 0..<(try count()) { values.append(try value(depth: depth + 1)) }
        return .list(values)
      case 9:
        var fields: [String: RecordValue] = [:]
        var next: UInt64 = 0
        for _ in 0..<(try count()) {
          let index = try varint()
          guard index >= next, index < UInt64(names.count) else {
            throw RecordError("the index \(index) of a field name is out of order or out of range")
          }
          next = index + 1
          fields[names[Int(index)]] = try value(depth: depth + 1)
        }
        return .fields(fields)
      case let tag: throw RecordError("\(tag) is not the tag of a value")
      }
    }

    mutating func text() throws(RecordError) -> String {
      let count = try count()
      guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
        throw RecordError("a text is not UTF-8")
      }
      bytes.removeFirst(count)
      return text
    }

    /// A number of bytes, or of items, each of which takes at least one byte of those that are left.
    mutating func count() throws(RecordError) -> Int {
      let count = try varint()
      guard count <= UInt64(bytes.count) else {
        throw RecordError("the message ends early: a count is \(count), but \(bytes.count) bytes are left")
      }
      return Int(count)
    }

    private mutating func bits<Bits: FixedWidthInteger>(_: Bits.Type) throws(RecordError) -> Bits {
      var bits: Bits = 0
      for shift in stride(from: 0, to: Bits.bitWidth, by: 8) { bits |= Bits(try byte()) << Bits(shift) }
      return bits
    }

    private mutating func varint() throws(RecordError) -> UInt64 {
      var number: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 7) {
        let byte = try byte()
        // The tenth byte holds bit 63 only.
        guard shift < 63 || byte <= 1 else { break }
        number |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return number }
      }
      throw RecordError("an integer has more than 64 bits")
    }

    private mutating func byte() throws(RecordError) -> UInt8 {
      guard let byte = bytes.popFirst() else { throw RecordError("the message ends early") }
      return byte
    }
  }
}
