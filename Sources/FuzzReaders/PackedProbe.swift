import CKernels
import Exports
import Foundation
import Models
import Tensors

/// A packed model whose index and parts follow each other in the input; header, end and hash of the index are valid.
enum PackedProbe {
  private static let model: QuillanModel = {
    var sizes = ModelConfiguration(dim: 8)
    sizes.vocabSize = 20
    sizes.numLayers = 1
    sizes.numHeads = 2
    sizes.numMiniMoes = 2
    sizes.numExpertsPerMini = 2
    sizes.expertDim = 8
    sizes.numMicrosPerMini = 2
    sizes.microTopK = 1
    sizes.microAgentDim = 4
    sizes.overseerDim = 8
    sizes.diffusionDim = 8
    sizes.diffusionBlocks = 1
    sizes.maxSeqLen = 16
    sizes.int4Group = 8
    do { return try QuillanModel(sizes, PrecisionConfiguration()) } catch { Scratch.end("\(error)") }
  }()
  private static let pool = WorkerPool(threads: 1)
  private static let path = "\(Scratch.folder)/x.qpk"
  private static let headerBytes = 64
  /// Magic and version.
  private static let header: [UInt8] = {
    do { return Array(try file(.mapped).prefix(headerBytes)) } catch { Scratch.end("\(error)") }
  }()

  /// A complete file of the model.
  static func file(_ layout: PackedFile.Layout) throws -> [UInt8] {
    let weights = model.makePackedModel()
    let context = Context(threads: 1)
    model.pack(model.initialParameters(seed: 1, pool: pool), into: weights, context)
    try PackedFileWriter.write(
      weights, configuration: ["model": ["dim": .integer(8)]], layout: layout, to: path, pool: pool)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// An input that `read` turns into a complete file.
  static func seed(_ layout: PackedFile.Layout) throws -> [UInt8] {
    let bytes = try file(layout)
    let end = bytes.count - 32
    let start = bytes[end..<end + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let text = bytes[start..<end]
    return [UInt8(text.count >> 8 & 0xFF), UInt8(text.count & 0xFF)] + text + bytes[headerBytes..<start]
  }

  static func read(_ input: UnsafeRawBufferPointer) -> Any? {
    guard input.count >= 2 else { return nil }
    let cut = min(input.count - 2, Int(input[0]) << 8 | Int(input[1]))
    let text = Array(input[2..<2 + cut])
    var bytes = header + input[(2 + cut)...]
    bytes += [UInt8](repeating: 0, count: (64 - bytes.count % 64) % 64)
    let start = UInt64(bytes.count)
    bytes += text
    for value in [start, UInt64(text.count), ck_xxh64(text, Int64(text.count), 0)] {
      withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
    return readFile(bytes + Array("QPACKEND".utf8))
  }

  static func readFile(_ bytes: [UInt8]) -> Any? {
    guard let file = try? PackedFile(path: Scratch.write(bytes, "x.qpk")),
      let weights = try? file.load(model.table, int4Group: 8, derivedCount: model.derivedCount, pool: pool)
    else { return nil }
    let memory = weights.held.map { weights.memory($0).map { Array($0) } }
    return (memory, file.configuration, file.metadata.sorted { $0.key < $1.key })
  }
}
