import CKernels
import Exports
import Foundation
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Packed models")
struct PackedFileTests {
  static let cases = NumberFormat.allCases.flatMap { format in
    PackedFile.Layout.allCases.map { (format, $0) }
  }

  private let configuration: ConfigurationTree = [
    "model": ["dim": .integer(20), "norm_eps": .number(1e-6), "use_bit_diffusion": .boolean(true)],
    "data": ["tokenizer": .text("byte")],
  ]

  private func write(
    _ tiny: TinyModel, _ layout: PackedFile.Layout, to path: String, threads: Int = 1
  ) throws {
    try PackedFileWriter.write(
      tiny.weights, configuration: configuration, metadata: ["a": "b"], layout: layout, to: path,
      pool: WorkerPool(threads: threads))
  }

  private func load(_ path: String, like tiny: TinyModel, threads: Int = 1) throws -> PackedModel {
    let model = try PackedFile(path: path).load(
      tiny.model.table, int4Group: tiny.model.configuration.int4Group, derivedCount: tiny.model.derivedCount,
      pool: WorkerPool(threads: threads))
    tiny.model.refresh(model, tiny.context)
    return model
  }

  private func hasSameBits(_ a: PackedModel, _ b: PackedModel) -> Bool {
    a.table.ids.allSatisfy { id in
      guard case .linear = a.table[id].role else {
        let count = a.table[id].count
        return sameBits(
          Array(UnsafeBufferPointer(start: a.values(id), count: count)),
          Array(UnsafeBufferPointer(start: b.values(id), count: count)))
      }
      let (left, right) = (a.weights(id), b.weights(id))
      return left.data.array == right.data.array && sameBits(left.scales.array, right.scales.array)
    } && sameBits(a.derived.array, b.derived.array)
  }

  @Test("Loaded weights have the bits of the packed weights, in every format and layout", arguments: cases)
  func roundTrip(format: NumberFormat, layout: PackedFile.Layout) throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(format, seed: 3)
    try write(tiny, layout, to: folder.path("model"))
    let loaded = try load(folder.path("model"), like: tiny, threads: 2)
    #expect(hasSameBits(loaded, tiny.weights))
    let file = try PackedFile(path: folder.path("model"))
    #expect(file.configuration == configuration && file.metadata == ["a": "b"] && file.layout == layout)
  }

  @Test(
    "A file's bytes do not depend on threads or on the layout of the source",
    arguments: [.int4, .ternary] as [NumberFormat])
  func sameBytes(format: NumberFormat) throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(format, seed: 4)
    try write(tiny, .compressed, to: folder.path("one"))
    try write(tiny, .compressed, to: folder.path("two"), threads: 3)
    try write(tiny, .mapped, to: folder.path("mapped"))
    try PackedFileWriter.write(
      load(folder.path("mapped"), like: tiny), configuration: configuration, metadata: ["a": "b"],
      layout: .compressed, to: folder.path("three"), pool: WorkerPool(threads: 1))
    let bytes = try ["one", "two", "three"].map { try Data(contentsOf: URL(fileURLWithPath: folder.path($0))) }
    #expect(bytes[0] == bytes[1] && bytes[0] == bytes[2])
  }

  @Test("A flipped bit anywhere is detected", arguments: PackedFile.Layout.allCases)
  func everyFlip(layout: PackedFile.Layout) throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.int4, seed: 5)
    try write(tiny, layout, to: folder.path("whole"))
    let bytes = try folder.data("whole")
    var numbers = RandomNumbers(seed: 6)
    let places =
      Array(0..<80) + Array(bytes.count - 80..<bytes.count)
      + (0..<240).map { _ in numbers.integer(below: bytes.count) }
    for place in places {
      var damaged = bytes
      damaged[place] ^= 1 << UInt8(numbers.integer(below: 8))
      try damaged.write(to: URL(fileURLWithPath: folder.path("damaged")))
      let error = #expect(throws: PackedFileError.self, "byte \(place)") {
        try load(folder.path("damaged"), like: tiny)
      }
      let line = try #require(error?.description)
      #expect(!line.contains("\n") && line.utf8.count < 1500 && error?.isCorruptData == true)
    }
  }

  @Test("A file cut at any length is refused", arguments: PackedFile.Layout.allCases)
  func everyTruncation(layout: PackedFile.Layout) throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.ternary, seed: 7)
    try write(tiny, layout, to: folder.path("whole"))
    let bytes = try folder.data("whole")
    var numbers = RandomNumbers(seed: 8)
    for length in Array(0...100) + (0..<100).map({ _ in numbers.integer(below: bytes.count) }) + [bytes.count - 1] {
      try bytes.prefix(length).write(to: URL(fileURLWithPath: folder.path("cut")))
      #expect(throws: PackedFileError.self) { try load(folder.path("cut"), like: tiny) }
    }
  }

  /// `bytes` with a changed index and the hash of that index.
  private func changingIndex(_ bytes: Data, _ change: (String) -> String) -> Data {
    let end = bytes.count - 32
    func word(_ index: Int) -> Int {
      bytes[end + 8 * index..<end + 8 * index + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    let text = Array(change(String(decoding: bytes[word(0)..<word(0) + word(1)], as: UTF8.self)).utf8)
    var result = bytes.prefix(word(0)) + text
    for value in [UInt64(word(0)), UInt64(text.count), ck_xxh64(text, Int64(text.count), 0)] {
      withUnsafeBytes(of: value.littleEndian) { result.append(contentsOf: $0) }
    }
    return result + Data("QPACKEND".utf8)
  }

  @Test("A false index is refused although its hash matches")
  func hostileIndex() throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.int4, seed: 9)
    try write(tiny, .mapped, to: folder.path("whole"))
    let bytes = try folder.data("whole")
    let changes: [(PackedFileError.Code, (String) -> String)] = [
      (.corrupt, { $0.replacingOccurrences(of: "\"offset\":64,", with: "\"offset\":128,") }),
      (.corrupt, { $0.replacingOccurrences(of: "\"offset\":64,", with: "\"offset\":-64,") }),
      (.corrupt, { $0.replacingOccurrences(of: "\"offset\":64,", with: "\"offset\":9223372036854775807,") }),
      (.corrupt, { $0.replacingOccurrences(of: "\"offset\":64,", with: "\"offset\":1e99,") }),
      (.corrupt, { _ in "{}" }),
      (.corrupt, { _ in String(repeating: "[", count: 100_000) }),
      (.corrupt, { $0.replacingOccurrences(of: "\"tensors\":[", with: "\"tensors\":[{\"name\":\"x\"},") }),
      (.mismatch, { $0.replacingOccurrences(of: "\"name\":\"final_norm.weight\"", with: "\"name\":\"other\"") }),
      (.mismatch, { $0.replacingOccurrences(of: "\"group\":10", with: "\"group\":20") }),
      (.mismatch, { $0.replacingOccurrences(of: "\"shape\":[1030,20]", with: "\"shape\":[20,1030]") }),
      (.mismatch, { $0.replacingOccurrences(of: "\"kind\":\"kernel_scales\"", with: "\"kind\":\"scales\"") }),
      (
        .otherLayout,
        {
          let here = PackedWeights.layoutFingerprint(.int4)
          return $0.replacingOccurrences(of: String(here, radix: 16), with: String(here ^ 1, radix: 16))
        }
      ),
    ]
    for (number, (code, change)) in changes.enumerated() {
      let damaged = changingIndex(bytes, change)
      #expect(damaged != bytes, "change \(number) changes nothing")
      try damaged.write(to: URL(fileURLWithPath: folder.path("hostile")))
      let error = #expect(throws: PackedFileError.self, "change \(number)") {
        try load(folder.path("hostile"), like: tiny)
      }
      #expect(error?.code == code, "change \(number): \(String(describing: error))")
    }
  }

  @Test("An index with random damage is refused or harmless", arguments: PackedFile.Layout.allCases)
  func fuzz(layout: PackedFile.Layout) throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.int4, seed: 13)
    try write(tiny, layout, to: folder.path("whole"))
    let bytes = try folder.data("whole")
    var numbers = RandomNumbers(seed: 14)
    let spices = ["9", "-", "0", "\"", "{", "]", ",", "e", "\u{FFFD}", "1844674407370955161", "null"]
    var refused = 0
    for _ in 0..<300 {
      let damaged = changingIndex(bytes) { text in
        var scalars = Array(text.unicodeScalars)
        for _ in 0...numbers.integer(below: 3) {
          let place = numbers.integer(below: scalars.count)
          scalars.replaceSubrange(
            place..<min(place + numbers.integer(below: 3), scalars.count),
            with: spices[numbers.integer(below: spices.count)].unicodeScalars)
        }
        return String(String.UnicodeScalarView(scalars))
      }
      try damaged.write(to: URL(fileURLWithPath: folder.path("damaged")))
      do { _ = try load(folder.path("damaged"), like: tiny) } catch { refused += 1 }
    }
    #expect(refused > 200)
  }

  @Test("Foreign and newer files are refused with their own codes")
  func foreign() throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.int8, seed: 10)
    try write(tiny, .compressed, to: folder.path("whole"))
    var bytes = try folder.data("whole")
    bytes[8] = 2
    try bytes.write(to: URL(fileURLWithPath: folder.path("newer")))
    #expect(throws: PackedFileError.self) { try PackedFile(path: folder.path("newer")) }
    let newer = #expect(throws: PackedFileError.self) { try PackedFile(path: folder.path("newer")) }
    #expect(newer?.code == .newer && newer?.problem.contains("version 2") == true)
    try Data("{\"a\": 1}, a text of some length that is no model".utf8).write(
      to: URL(fileURLWithPath: folder.path("text")))
    let foreign = #expect(throws: PackedFileError.self) { try PackedFile(path: folder.path("text")) }
    #expect(foreign?.code == .foreign && !PackedFile.isPacked(folder.path("text")))
    let absent = #expect(throws: PackedFileError.self) { try PackedFile(path: folder.path("absent")) }
    #expect(absent?.code == .inaccessible && absent?.isCorruptData == false)
  }

  @Test("Repacking the weights of a mapped file does not change the file")
  func privatePages() throws {
    let folder = try TemporaryFolder()
    let tiny = try TinyModel(.ternary, seed: 11)
    try write(tiny, .mapped, to: folder.path("model"))
    let before = try folder.data("model")
    let loaded = try load(folder.path("model"), like: tiny)
    tiny.model.pack(try TinyModel(.ternary, seed: 12).masters, into: loaded, tiny.context)
    #expect(!hasSameBits(loaded, tiny.weights))
    #expect(try folder.data("model") == before)
  }
}
