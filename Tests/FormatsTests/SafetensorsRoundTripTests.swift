import Formats
import Foundation
import TestSupport
import Testing

@Suite("Safetensors files")
struct SafetensorsRoundTripTests {
  static let goldenNames = ["fp32.weights", "fp32.expected", "quantised.weights", "quantised.expected"]

  static func fixture(_ name: String) -> String { Fixtures.url("golden/\(name).safetensors").path }

  @Test("The golden files open and every tensor has the bytes of its shape", arguments: goldenNames)
  func goldenFiles(name: String) throws {
    let file = try SafetensorsFile(path: Self.fixture(name))
    #expect(file.tensors.count == (name.hasSuffix("weights") ? 104 : 166))
    for (name, entry) in file.tensors {
      let count = try file.withBytes(of: name) { $0.count }
      #expect(count == entry.shape.reduce(entry.dataType.byteCount, *))
      if entry.dataType == .float32 {
        let floats = try file.floats(name)
        #expect(floats.count == entry.elementCount && floats.allSatisfy(\.isFinite))
      }
    }
  }

  @Test("Rewriting a file of the Python library gives the same bytes", arguments: goldenNames)
  func rewriting(name: String) throws {
    let folder = try TemporaryFolder()
    let source = try SafetensorsFile(path: Self.fixture(name))
    let tensors = source.tensors.map { name, entry in
      SafetensorsTensor(name: name, dataType: entry.dataType, shape: entry.shape) { sink in
        try source.withBytes(of: name) { bytes in
          let middle = bytes.count / 3
          try sink(UnsafeRawBufferPointer(rebasing: bytes[..<middle]))
          try sink(UnsafeRawBufferPointer(rebasing: bytes[middle...]))
        }
      }
    }
    try SafetensorsWriter.write(path: folder.path("copy"), tensors: tensors, metadata: source.metadata)
    let copy = try folder.data("copy")
    #expect(try copy == Data(contentsOf: URL(fileURLWithPath: Self.fixture(name))))
    #expect(try folder.names == ["copy"])
  }

  @Test("Every element type, awkward shapes, names and metadata are read back as written")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("all")
    let awkward = "a\"b\\c\n\u{1}\u{8}é😀/\u{7F}"
    let tensors = [
      SafetensorsTensor(name: "f64", dataType: .float64, shape: [2], elements: [1.5, -Double.infinity]),
      SafetensorsTensor(name: "i64", dataType: .int64, shape: [1, 1, 2], elements: [Int64.min, Int64.max]),
      SafetensorsTensor(name: "i32", dataType: .int32, shape: [3], elements: [Int32.min, 0, Int32.max]),
      SafetensorsTensor(name: "i16", dataType: .int16, shape: [1], elements: [Int16(-2)]),
      SafetensorsTensor(name: "i8", dataType: .int8, shape: [3], elements: [Int8(-128), 0, 127]),
      SafetensorsTensor(name: "u8", dataType: .uint8, shape: [5], elements: [UInt8(0), 1, 2, 254, 255]),
      SafetensorsTensor(name: "bool", dataType: .bool, shape: [1], elements: [true]),
      SafetensorsTensor(name: "scalar", shape: [], floats: [3.25]),
      SafetensorsTensor(name: "empty", shape: [4, 0, 2], floats: []),
      SafetensorsTensor(
        name: awkward, shape: [2, 2], floats: [0, -0.0, .greatestFiniteMagnitude, .leastNonzeroMagnitude]),
    ]
    let metadata = ["format": "pt", awkward: awkward, "": ""]
    try SafetensorsWriter.write(path: path, tensors: tensors, metadata: metadata)
    let file = try SafetensorsFile(path: path)
    #expect(file.metadata == metadata)
    #expect(file.tensors.count == tensors.count)
    for tensor in tensors {
      let entry = try file.entry(tensor.name)
      #expect(entry.dataType == tensor.dataType && entry.shape == tensor.shape)
      var written: [UInt8] = []
      try tensor.provide { written += Array($0) }
      #expect(try file.withBytes(of: tensor.name) { Array($0) } == written)
    }
    #expect(try file.floats("scalar") == [3.25])
    #expect(try file.floats("empty") == [])
    #expect(try file.floats(awkward).map(\.bitPattern) == [0, 0x8000_0000, 0x7F7F_FFFF, 1])
    let widths = tensors.map { file.tensors[$0.name]!.byteRange.lowerBound % $0.dataType.byteCount }
    #expect(widths.allSatisfy { $0 == 0 }, "every element is aligned to its width")
  }

  @Test("16-bit floats widen exactly")
  func widening() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("narrow")
    let half: [UInt16] = [0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00, 0x8000]
    let brain: [UInt16] = [0x3F80, 0xC000, 0x0001, 0x7F7F, 0x7F80, 0x8000]
    try SafetensorsWriter.write(
      path: path,
      tensors: [
        SafetensorsTensor(name: "half", dataType: .float16, shape: [6], elements: half),
        SafetensorsTensor(name: "brain", dataType: .bfloat16, shape: [6], elements: brain),
        SafetensorsTensor(name: "integers", dataType: .int32, shape: [1], elements: [Int32(1)]),
      ])
    let file = try SafetensorsFile(path: path)
    #expect(try file.floats("half") == [1, -2, 0x1p-24, 65504, .infinity, -0.0])
    #expect(try file.floats("brain").map(\.bitPattern) == brain.map { UInt32($0) << 16 })
    #expect(throws: SafetensorsError.self) { try file.floats("integers") }
    #expect(throws: SafetensorsError.self) { try file.floats("absent") }
  }

  @Test("A file without tensors has sixteen bytes")
  func nothing() throws {
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write(path: folder.path("none"), tensors: [])
    #expect(try folder.data("none").count == 16)
    #expect(try SafetensorsFile(path: folder.path("none")).tensors.isEmpty)
  }
}
