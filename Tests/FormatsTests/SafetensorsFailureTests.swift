import Formats
import Foundation
import TestSupport
import Testing

@Suite("Hostile and damaged safetensors files, and writes that fail")
struct SafetensorsFailureTests {
  struct Hostile: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let code: SafetensorsError.Code

    init(_ description: String, _ code: SafetensorsError.Code, bytes: [UInt8]) {
      testDescription = description
      self.bytes = bytes
      self.code = code
    }

    /// A file of a header and `dataCount` zero bytes.
    init(_ description: String, _ code: SafetensorsError.Code, _ json: String, data dataCount: Int = 0) {
      let header = Array(json.utf8)
      self.init(
        description, code, bytes: length(UInt64(header.count)) + header + [UInt8](repeating: 0, count: dataCount))
    }
  }

  static func length(_ count: UInt64) -> [UInt8] { withUnsafeBytes(of: count.littleEndian, Array.init) }

  static func tensor(_ shape: String, _ offsets: String, type: String = "F32") -> String {
    "{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
  }

  static let hostile: [Hostile] = [
    Hostile("an empty file", .truncated, bytes: []),
    Hostile("seven bytes", .truncated, bytes: [1, 2, 3, 4, 5, 6, 7]),
    Hostile("a header length of 0", .malformedHeader, bytes: length(0)),
    Hostile("a header length of 2^64 - 1", .malformedHeader, bytes: length(.max)),
    Hostile("a header length of 2^63", .malformedHeader, bytes: length(1 << 63)),
    Hostile("a header length just over the cap", .malformedHeader, bytes: length(100_000_001)),
    Hostile("a header length past the end", .truncated, bytes: length(3) + Array("{}".utf8)),
    Hostile("not JSON", .malformedHeader, "hello, world"),
    Hostile("an array", .malformedHeader, "[]"),
    Hostile("a space before the object", .malformedHeader, " {}"),
    Hostile("an object that does not end", .malformedHeader, "{\"a\":"),
    Hostile("text after the object", .malformedHeader, "{}{}"),
    Hostile("a trailing comma", .malformedHeader, "{\"a\":\(tensor("[0]", "[0,0]")),}"),
    Hostile("no comma between tensors", .malformedHeader, "{\"a\":\(tensor("[0]", "[0,0]"))\"b\":1}"),
    Hostile("a null tensor", .malformedHeader, "{\"a\":null}"),
    Hostile("a million opening brackets", .malformedHeader, "{\"a\":" + String(repeating: "[", count: 1_000_000)),
    Hostile("a million nested objects", .malformedHeader, String(repeating: "{\"a\":", count: 1_000_000)),
    Hostile(
      "depth inside a shape", .malformedHeader,
      "{\"a\":{\"dtype\":\"F32\",\"shape\":" + String(repeating: "[", count: 100_000)),
    Hostile(
      "a shape of a million numbers", .malformedHeader,
      "{\"a\":\(tensor("[" + String(repeating: "1,", count: 1_000_000) + "1]", "[0,4]"))}", data: 4),
    Hostile(
      "a name twice", .malformedHeader,
      "{\"a\":\(tensor("[1]", "[0,4]")),\"a\":\(tensor("[1]", "[4,8]"))}", data: 8),
    Hostile(
      "a name twice, once escaped", .malformedHeader,
      "{\"a\":\(tensor("[1]", "[0,4]")),\"\\u0061\":\(tensor("[1]", "[4,8]"))}", data: 8),
    Hostile("metadata twice", .malformedHeader, "{\"__metadata__\":{},\"__metadata__\":{}}"),
    Hostile("a metadata key twice", .malformedHeader, "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}"),
    Hostile("metadata that is a number", .malformedHeader, "{\"__metadata__\":{\"a\":1}}"),
    Hostile(
      "a field twice", .malformedHeader,
      "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"),
    Hostile("a field missing", .malformedHeader, "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}"),
    Hostile("an unknown field", .malformedHeader, "{\"a\":{\"type\":\"U8\"}}"),
    Hostile("one offset", .malformedHeader, "{\"a\":\(tensor("[0]", "[0]"))}"),
    Hostile("three offsets", .malformedHeader, "{\"a\":\(tensor("[0]", "[0,0,0]"))}"),
    Hostile("a negative offset", .malformedHeader, "{\"a\":\(tensor("[1]", "[-4,0]"))}"),
    Hostile("a negative extent", .malformedHeader, "{\"a\":\(tensor("[-1]", "[0,4]"))}", data: 4),
    Hostile("a fraction", .malformedHeader, "{\"a\":\(tensor("[1.0]", "[0,4]"))}", data: 4),
    Hostile("an exponent", .malformedHeader, "{\"a\":\(tensor("[1e0]", "[0,4]"))}", data: 4),
    Hostile("a leading zero", .malformedHeader, "{\"a\":\(tensor("[01]", "[0,4]"))}", data: 4),
    Hostile("an integer of 2^63", .malformedHeader, "{\"a\":\(tensor("[9223372036854775808]", "[0,4]"))}", data: 4),
    Hostile(
      "an integer of 40 digits", .malformedHeader,
      "{\"a\":\(tensor("[\(String(repeating: "9", count: 40))]", "[0,4]"))}", data: 4),
    Hostile(
      "a string that is not UTF-8", .malformedHeader,
      bytes: length(8) + [0x7B, 0x22, 0xC3, 0x28, 0x22, 0x3A, 0x31, 0x7D]),
    Hostile("a control character in a name", .malformedHeader, "{\"a\nb\":1}"),
    Hostile("an unknown escape", .malformedHeader, "{\"\\x\":1}"),
    Hostile("half of a surrogate pair", .malformedHeader, "{\"\\ud800\":1}"),
    Hostile("an escape cut off", .malformedHeader, "{\"\\u00"),
    Hostile("a name that does not end", .malformedHeader, "{\"" + String(repeating: "a", count: 1000)),
    Hostile("an unknown element type", .unsupportedType, "{\"a\":\(tensor("[1]", "[0,4]", type: "F8_E4M3"))}", data: 4),
    Hostile(
      "a shape whose size overflows", .inconsistentLayout,
      "{\"a\":\(tensor("[4611686018427387904,4]", "[0,0]"))}"),
    Hostile(
      "a shape whose size wraps around to the right one", .inconsistentLayout,
      "{\"a\":\(tensor("[4611686018427387905]", "[0,4]"))}", data: 4),
    Hostile("a shape smaller than its range", .inconsistentLayout, "{\"a\":\(tensor("[1]", "[0,8]"))}", data: 8),
    Hostile("a range that runs backwards", .inconsistentLayout, "{\"a\":\(tensor("[1]", "[4,0]"))}", data: 4),
    Hostile(
      "offsets near 2^63", .inconsistentLayout,
      "{\"a\":\(tensor("[1]", "[9223372036854775803,9223372036854775807]"))}", data: 4),
    Hostile("a range past the end", .truncated, "{\"a\":\(tensor("[2]", "[0,8]"))}", data: 4),
    Hostile(
      "an enormous tensor in a small file", .truncated,
      "{\"a\":\(tensor("[1000000000000]", "[0,4000000000000]"))}", data: 4),
    Hostile("a hole before the first tensor", .inconsistentLayout, "{\"a\":\(tensor("[1]", "[4,8]"))}", data: 8),
    Hostile(
      "a hole between tensors", .inconsistentLayout,
      "{\"a\":\(tensor("[1]", "[0,4]")),\"b\":\(tensor("[1]", "[8,12]"))}", data: 12),
    Hostile(
      "overlapping tensors", .inconsistentLayout,
      "{\"a\":\(tensor("[2]", "[0,8]")),\"b\":\(tensor("[2]", "[4,12]"))}", data: 12),
    Hostile(
      "two tensors on the same bytes", .inconsistentLayout,
      "{\"a\":\(tensor("[1]", "[0,4]")),\"b\":\(tensor("[1]", "[0,4]"))}", data: 4),
    Hostile("bytes after the last tensor", .inconsistentLayout, "{\"a\":\(tensor("[1]", "[0,4]"))}", data: 5),
    Hostile("bytes without a tensor", .inconsistentLayout, "{}", data: 1),
  ]

  @Test("A hostile file is refused with its place and a remedy, in one line", arguments: hostile)
  func refusal(file: Hostile) throws {
    let folder = try TemporaryFolder()
    let path = folder.path("hostile")
    try Data(file.bytes).write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
    #expect(error?.code == file.code)
    #expect(error?.isCorruptData == true)
    let line = try #require(error?.description)
    #expect(line.hasPrefix(path) && !line.contains("\n") && line.utf8.count < 1500)
  }

  @Test("A file cut at any length is refused")
  func everyTruncation() throws {
    let folder = try TemporaryFolder()
    let whole = folder.path("whole")
    try SafetensorsWriter.write(
      path: whole,
      tensors: [
        SafetensorsTensor(name: "a", shape: [3], floats: [1, 2, 3]),
        SafetensorsTensor(name: "b", dataType: .uint8, shape: [1], elements: [UInt8(4)]),
      ])
    let bytes = try Data(contentsOf: URL(fileURLWithPath: whole))
    for count in 0..<bytes.count {
      let path = folder.path("cut")
      try bytes.prefix(count).write(to: URL(fileURLWithPath: path))
      #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
    }
  }

  @Test("A damaged byte of a header is refused or changes only the value that contains it")
  func everyFlip() throws {
    let folder = try TemporaryFolder()
    let whole = folder.path("whole")
    try SafetensorsWriter.write(path: whole, tensors: [SafetensorsTensor(name: "a", shape: [3], floats: [1, 2, 3])])
    let bytes = try Data(contentsOf: URL(fileURLWithPath: whole))
    for index in 0..<(bytes.count - 12) {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(bit)
        try damaged.write(to: URL(fileURLWithPath: folder.path("flip")))
        guard let file = try? SafetensorsFile(path: folder.path("flip")) else { continue }
        for (name, entry) in file.tensors {
          #expect(try file.withBytes(of: name) { $0.count } == entry.byteRange.count)
        }
      }
    }
  }

  @Test("A file that shrinks while open causes an error, not a crash")
  func shrinking() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("shrinking")
    try SafetensorsWriter.write(path: path, tensors: [SafetensorsTensor(name: "a", shape: [3], floats: [1, 2, 3])])
    let file = try SafetensorsFile(path: path)
    #expect(truncate(path, 20) == 0)
    let error = #expect(throws: SafetensorsError.self) { try file.floats("a") }
    #expect(error?.code == .truncated && error?.tensor == "a")
  }

  @Test(
    "A file that cannot be opened is reported as inaccessible",
    arguments: ["/nonexistent/model.safetensors", "/tmp", "/dev/null"])
  func unopenable(path: String) {
    let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
    #expect(error?.code == .inaccessible && error?.isCorruptData == false)
  }

  @Test("A write that fails leaves the old file and nothing else")
  func failingWrite() throws {
    struct Failure: Error {}
    let folder = try TemporaryFolder()
    let path = folder.path("model")
    try SafetensorsWriter.write(path: path, tensors: [SafetensorsTensor(name: "a", shape: [1], floats: [1])])
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    let bad: [SafetensorsTensor] = [
      SafetensorsTensor(name: "throws", dataType: .uint8, shape: [1]) { _ in throw Failure() },
      SafetensorsTensor(name: "short", shape: [2], floats: [1]),
      SafetensorsTensor(name: "long", shape: [1], floats: [1, 2]),
      SafetensorsTensor(name: "negative", shape: [-1], floats: []),
      SafetensorsTensor(name: "huge", shape: [1 << 62, 4], floats: []),
      SafetensorsTensor(name: "__metadata__", shape: [1], floats: [1]),
      SafetensorsTensor(name: "a", shape: [1], floats: [1]),
    ]
    let good = SafetensorsTensor(name: "a", shape: [1], floats: [2])
    for tensor in bad {
      #expect(throws: (any Error).self) { try SafetensorsWriter.write(path: path, tensors: [good, tensor]) }
      #expect(try folder.names == ["model"])
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }
    #expect(throws: SafetensorsError.self) {
      try SafetensorsWriter.write(path: folder.path("missing/model"), tensors: [good])
    }
    #expect(throws: SafetensorsError.self) { try SafetensorsWriter.write(path: folder.url.path, tensors: [good]) }
    #expect(try folder.names == ["model"])
  }

  @Test("A full disk has its own code, with the tensor and the byte")
  func fullDisk() throws {
    let error = #expect(throws: SafetensorsError.self) {
      // Every write to this device fails as on a full disk.
      let output = try SafetensorsOutput(path: "/dev/full", policy: .new)
      try [UInt8](repeating: 1, count: 100).withUnsafeBytes { try output.append($0, tensor: "embedding.weight") }
      try output.commit()
    }
    #expect(error?.code == .diskFull && error?.tensor == "embedding.weight" && error?.offset == 0)
  }
}
