import Exports
import Formats
import Foundation
import LowBit
import Tensors
import TestSupport
import Testing

@Suite("Hostile numbers in files")
struct HostileNumberTests {
  @Test("A product of extents is correct, or nil if it is impossible")
  func extents() {
    #expect(Extents.product([]) == 1 && Extents.product([3, 4]) == 12 && Extents.product([3, 0, 4]) == 0)
    #expect(Extents.product([1 << 24, 1 << 24]) == 1 << 48)
    for shape in [[1 << 24, 1 << 25], [-1], [0, -1], [0, Int.max], [Int.max, 2, 0], [1 << 62, 1 << 62]] {
      #expect(Extents.product(shape) == nil, "\(shape)")
      #expect(SafetensorsDataType.float32.byteCount(shape: shape) == nil, "\(shape)")
    }
    #expect(SafetensorsDataType.int64.byteCount(shape: [0, 5]) == 0)
  }

  private func array(_ shape: String, _ bytes: Int) -> Data {
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
    header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    return Data(
      [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(header.utf8) + [UInt8](repeating: 0, count: bytes))
  }

  @Test(
    "An array of an impossible shape is refused, with numbers and without",
    arguments: [
      "(0, 4611686018427387904)", "(4611686018427387904, 0)", "(2, 0, 9223372036854775807)", "(1099511627776, 0)",
      "(9223372036854775807,)", "(-1,)", "(3037000500, 3037000500)", "(0, 99999999999999999999)",
    ])
  func arrays(shape: String) throws {
    let folder = try TemporaryFolder()
    try array(shape, 0).write(to: URL(fileURLWithPath: folder.path("x.npy")))
    let error = #expect(throws: NumpyError.self) { try NumpyFile(path: folder.path("x.npy")) }
    #expect(error?.isBadData == true)
  }

  @Test("An array without numbers is encoded and decoded", arguments: ["(0, 4)", "(3, 0)", "(0,)"])
  func empty(shape: String) throws {
    let folder = try TemporaryFolder()
    try array(shape, 0).write(to: URL(fileURLWithPath: folder.path("x.npy")))
    for scaling in BitEncoder.Scaling.allCases {
      let file = try NumpyFile(path: folder.path("x.npy"))
      try BitEncodingFile.encode(file, BitEncoder(bits: 4, scaling: scaling), to: folder.path("bits"))
      try BitEncodingFile.decode(SafetensorsFile(path: folder.path("bits")), to: folder.path("y.npy"))
      #expect(try NumpyFile(path: folder.path("y.npy")).shape == file.shape)
    }
  }

  @Test(
    "Codes, values and scales that packing cannot produce are refused in every format and layout",
    arguments: PackedFileTests.cases)
  func packed(format: NumberFormat, layout: PackedFile.Layout) throws {
    let folder = try TemporaryFolder()
    func refusal(_ damage: (TinyModel) -> Void) throws -> PackedFileError? {
      let tiny = try TinyModel(format, seed: 21)
      damage(tiny)
      let path = folder.path("model-\(UUID().uuidString)")
      try PackedFileWriter.write(
        tiny.weights, configuration: [:], metadata: [:], layout: layout, to: path, pool: WorkerPool(threads: 1))
      do {
        _ = try PackedFile(path: path).load(
          tiny.model.table, int4Group: tiny.model.configuration.int4Group, derivedCount: tiny.model.derivedCount,
          pool: WorkerPool(threads: 2))
        return nil
      } catch { return error }
    }
    func linear(_ tiny: TinyModel) throws -> PackedWeights {
      let id = try #require(
        tiny.model.table.ids.first { if case .linear = tiny.model.table[$0].role { true } else { false } })
      return tiny.weights.weights(id)
    }
    #expect(try refusal { _ in } == nil)
    for value in [Float.nan, -.infinity] {
      let error = try refusal { tiny in
        if let id = tiny.model.table.id("final_norm.weight") { tiny.weights.values(id)[3] = value }
      }
      #expect(error?.code == .corrupt && error?.tensor == "final_norm.weight")
      guard format.isInteger else { continue }
      #expect(try refusal { tiny in (try? linear(tiny))?.scales.pointer[0] = value }?.code == .corrupt)
    }
    if format.isInteger {
      #expect(try refusal { tiny in (try? linear(tiny))?.scales.pointer[0] = 0 }?.code == .corrupt)
    }
    // All zeros is not a code of int4 or int8; all ones is neither a code of ternary nor a finite number.
    let bad: UInt8 = format == .int4 || format == .int8 ? 0 : 0xFF
    let error = try refusal { tiny in
      guard let weights = try? linear(tiny) else { return }
      for byte in 0..<4 { weights.data.pointer[byte] = bad }
    }
    #expect(error?.code == .corrupt)
  }
}
