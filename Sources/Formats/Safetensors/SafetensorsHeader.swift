/// The validated header of a safetensors file: its tensors and where they are.
///
/// A file is: 8 bytes N (unsigned, little-endian), N bytes of JSON, then the tensors' bytes. The JSON maps names to
/// `{"dtype": …, "shape": […], "data_offsets": [begin, end]}` with offsets counted from the first byte after the
/// header, and may map `__metadata__` to an object of strings. The ranges must cover the rest of the file exactly: no
/// hole, no overlap, nothing after the last. N is at most 100 MB, which bounds the memory that a hostile file can take.
///
/// Source: the safetensors format specification (Hugging Face), README section "Format".
struct SafetensorsHeader {
  typealias Entry = SafetensorsFile.Entry

  static let maximumByteCount = 100_000_000
  static let maximumDimensions = 64

  var tensors: [String: Entry] = [:]
  var metadata: [String: String] = [:]

  private let path: String

  /// Parses `json`, the header's text, of a file of `fileByteCount` bytes.
  init(path: String, json: UnsafeRawBufferPointer, fileByteCount: Int) throws(SafetensorsError) {
    self.path = path
    do {
      try parse(json)
    } catch let error as SafetensorsError {
      throw error
    } catch {
      let fault = error as? JSONSyntaxError
      throw SafetensorsError(
        code: .malformedHeader, path: path, offset: 8 + (fault?.position ?? 0),
        problem: "malformed header: \(fault?.problem ?? "\(error)")",
        remedy: "the file is damaged or not safetensors; write or fetch it again")
    }
    try checkCoverage(dataStart: json.count + 8, fileByteCount: fileByteCount)
  }

  private mutating func parse(_ bytes: UnsafeRawBufferPointer) throws {
    var json = JSONScanner(bytes)
    guard bytes.first == UInt8(ascii: "{") else { throw json.fault("the first byte is not '{'") }
    try json.expect("{")
    var isFirst = true
    var hasMetadata = false
    while try json.another(before: "}", isFirst: isFirst) {
      isFirst = false
      let start = json.position
      let name = try json.key()
      if name == "__metadata__" {
        guard !hasMetadata else { throw json.fault("'__metadata__' appears twice", at: start) }
        hasMetadata = true
        metadata = try Self.strings(&json)
      } else {
        let entry = try entry(named: name, &json, headerByteCount: bytes.count)
        guard tensors.updateValue(entry, forKey: name) == nil else {
          throw json.fault("the name '\(SafetensorsError.printable(name))' appears twice", at: start)
        }
      }
    }
    try json.expectEnd()
  }

  private static func strings(_ json: inout JSONScanner) throws(JSONSyntaxError) -> [String: String] {
    try json.expect("{")
    var strings: [String: String] = [:]
    while try json.another(before: "}", isFirst: strings.isEmpty) {
      let key = try json.key()
      guard strings.updateValue(try json.string(), forKey: key) == nil else {
        throw json.fault("the metadata key '\(SafetensorsError.printable(key))' appears twice")
      }
    }
    return strings
  }

  private func entry(named name: String, _ json: inout JSONScanner, headerByteCount: Int) throws -> Entry {
    let start = json.position
    var typeName: String?
    var shape: [Int]?
    var range: [Int]?
    var isFirst = true
    try json.expect("{")
    while try json.another(before: "}", isFirst: isFirst) {
      isFirst = false
      let key = try json.key()
      switch (key, typeName, shape, range) {
      case ("dtype", nil, _, _): typeName = try json.string()
      case ("shape", _, nil, _): shape = try json.integers(limit: Self.maximumDimensions)
      case ("data_offsets", _, _, nil): range = try json.integers(limit: 2)
      case ("dtype", _, _, _), ("shape", _, _, _), ("data_offsets", _, _, _):
        throw json.fault("'\(key)' appears twice")
      default: throw json.fault("unknown field '\(SafetensorsError.printable(key))'")
      }
    }
    guard let typeName, let shape, let range, range.count == 2 else {
      throw json.fault("a tensor needs 'dtype', 'shape' and two 'data_offsets'", at: start)
    }
    guard let type = SafetensorsDataType(rawValue: typeName) else {
      let known = SafetensorsDataType.allCases.map(\.rawValue).sorted().joined(separator: ", ")
      throw SafetensorsError(
        code: .unsupportedType, path: path, tensor: name, offset: 8 + start,
        problem: "element type '\(SafetensorsError.printable(typeName))' is not supported",
        remedy: "convert the tensor to one of \(known)")
    }
    let dataStart = 8 + headerByteCount
    let (begin, overflow1) = dataStart.addingReportingOverflow(range[0])
    let (end, overflow2) = dataStart.addingReportingOverflow(range[1])
    guard !overflow1, !overflow2, begin <= end, let expected = type.byteCount(shape: shape), expected == end - begin
    else {
      throw SafetensorsError(
        code: .inconsistentLayout, path: path, tensor: name, offset: 8 + start,
        problem: "shape \(shape) of \(typeName) does not fill data_offsets \(range)",
        remedy: "the file is damaged; write or fetch it again")
    }
    return Entry(dataType: type, shape: shape, byteRange: begin..<end)
  }

  /// Checks that the tensors cover `dataStart..<fileByteCount` exactly once.
  private func checkCoverage(dataStart: Int, fileByteCount: Int) throws(SafetensorsError) {
    var covered = dataStart
    let inOrder = tensors.sorted {
      ($0.value.byteRange.lowerBound, $0.value.byteRange.upperBound)
        < ($1.value.byteRange.lowerBound, $1.value.byteRange.upperBound)
    }
    for (name, entry) in inOrder {
      let begin = entry.byteRange.lowerBound
      guard begin == covered else {
        throw SafetensorsError(
          code: .inconsistentLayout, path: path, tensor: name, offset: begin,
          problem: begin < covered
            ? "its bytes overlap those before, which end at byte \(covered)"
            : "\(begin - covered) bytes before it belong to no tensor",
          remedy: "the file is damaged; write or fetch it again")
      }
      covered = entry.byteRange.upperBound
      guard covered <= fileByteCount else {
        throw SafetensorsError(
          code: .truncated, path: path, tensor: name, offset: fileByteCount,
          problem: "the file ends here, but the tensor's bytes end at byte \(covered)",
          remedy: "the file is truncated; copy or write it again")
      }
    }
    guard covered == fileByteCount else {
      throw SafetensorsError(
        code: .inconsistentLayout, path: path, offset: covered,
        problem: "\(fileByteCount - covered) bytes after the last tensor belong to no tensor",
        remedy: "the file is damaged; write or fetch it again")
    }
  }
}
