import CKernels
import Files
import Formats
import Foundation
import LowBit
import Parameters
import Tensors

/// Writes packed models; equal weights, configuration and metadata give equal bytes.
public struct PackedFileWriter {
  private let path: String
  private let layout: PackedFile.Layout
  private let output: SafetensorsOutput
  private var offset = 0
  private var tensors: [PackedFileIndex.Tensor] = []
  /// Zstd's level: higher ones gain less than a percent on codes.
  private static let level: Int32 = 3

  /// Writes `model` to `path`, atomically and durably.
  ///
  /// - Parameter policy: what the file may replace.
  /// - Throws: `SafetensorsError` if the file cannot be written.
  public static func write(
    _ model: PackedModel, configuration: ConfigurationTree, metadata: [String: String] = [:],
    layout: PackedFile.Layout, to path: String, policy: OutputPolicy = .own, pool: WorkerPool
  ) throws {
    let output = try SafetensorsOutput(path: path, policy: policy)
    var writer = PackedFileWriter(path: path, layout: layout, output: output)
    try writer.writeHeader()
    // fp32 values come first and in the order of the parameters, so that a mapped file has their order in memory.
    let dense = model.table.ids.filter { !model.table[$0].isLinear }
    let linear = model.table.ids.filter { model.table[$0].isLinear }
    for batch in (dense + linear).batches(of: 4 * pool.threads) {
      let places = Places(batch.count)
      pool.each(batch.count) { _, number in
        places.parts[number] = Self.parts(of: batch[number], model, layout)
      }
      for (id, parts) in zip(batch, places.parts) { try writer.append(id, parts, model) }
    }
    try writer.finish(configuration: configuration, metadata: metadata)
  }

  private typealias Content = (kind: PackedFileIndex.Part.Kind, bytes: [UInt8], content: Int)

  /// A tensor's parts as stored.
  private static func parts(of id: ParameterID, _ model: PackedModel, _ layout: PackedFile.Layout) -> [Content] {
    func part(_ kind: PackedFileIndex.Part.Kind, _ bytes: UnsafeRawBufferPointer, width: Int) -> Content {
      if layout == .mapped { return (kind, Array(bytes), bytes.count) }
      guard let frame = ZstdFrame.compress(bytes, width: width, level: level) else {
        preconditionFailure("zstd failed on \(bytes.count) bytes within its own bound")
      }
      return (kind, frame, bytes.count)
    }
    let specification = model.table[id]
    guard case .linear(let format) = specification.role else {
      let values = UnsafeRawBufferPointer(start: model.values(id), count: 4 * specification.count)
      return [part(.values, values, width: 4)]
    }
    let weights = model.weights(id)
    if layout == .mapped {
      let data = part(.kernelData, UnsafeRawBufferPointer(weights.data.bufferPointer), width: 1)
      let scales = UnsafeRawBufferPointer(weights.scales.bufferPointer)
      return format.isInteger ? [data, part(.kernelScales, scales, width: 1)] : [data]
    }
    let rows = AlignedBuffer<UInt8>(count: weights.portableByteCount)
    let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
    weights.exportRows(bytes: rows.pointer, scales: scales.pointer, pool: WorkerPool(threads: 1))
    let data = part(.rows, UnsafeRawBufferPointer(rows.bufferPointer), width: format.elementBytes)
    guard format.isInteger else { return [data] }
    return [data, part(.scales, UnsafeRawBufferPointer(scales.bufferPointer), width: 4)]
  }

  private init(path: String, layout: PackedFile.Layout, output: SafetensorsOutput) {
    self.path = path
    self.layout = layout
    self.output = output
  }

  private mutating func write(_ bytes: [UInt8], tensor: String?) throws(SafetensorsError) {
    let result: Result<Void, SafetensorsError> = bytes.withUnsafeBytes { bytes in
      do throws(SafetensorsError) { return .success(try output.append(bytes, tensor: tensor)) } catch {
        return .failure(error)
      }
    }
    try result.get()
    offset += bytes.count
  }

  private mutating func writeHeader() throws(SafetensorsError) {
    var header = PackedFileIndex.magic
    withUnsafeBytes(of: PackedFileIndex.version.littleEndian) { header += $0 }
    header += [UInt8](repeating: 0, count: PackedFileIndex.headerBytes - header.count)
    try write(header, tensor: nil)
  }

  private mutating func append(_ id: ParameterID, _ contents: [Content], _ model: PackedModel) throws {
    let specification = model.table[id]
    var parts: [PackedFileIndex.Part] = []
    for content in contents {
      parts.append(
        PackedFileIndex.Part(
          kind: content.kind, offset: offset, bytes: content.bytes.count, content: content.content,
          xxh64: PackedFileIndex.hex(ck_xxh64(content.bytes, Int64(content.bytes.count), 0))))
      try write(content.bytes, tensor: specification.name)
      try write([UInt8](repeating: 0, count: PackedFileIndex.aligned(offset) - offset), tensor: specification.name)
    }
    var format = NumberFormat.fp32
    var group = 0
    if case .linear(let own) = specification.role {
      format = own
      let weights = model.weights(id)
      group = weights.groups > 0 ? weights.columns / weights.groups : 0
    }
    tensors.append(
      PackedFileIndex.Tensor(
        name: specification.name, shape: specification.shape, format: format.rawValue, group: group, parts: parts))
  }

  private mutating func finish(configuration: ConfigurationTree, metadata: [String: String]) throws {
    let index = PackedFileIndex(
      layout: layout, kernelLayout: layout == .mapped ? PackedFileIndex.kernelLayout : [:],
      configuration: configuration, metadata: metadata, tensors: tensors)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = Array(try encoder.encode(index))
    let start = offset
    try write(text, tensor: nil)
    var trailer: [UInt8] = []
    for word in [UInt64(start), UInt64(text.count), ck_xxh64(text, Int64(text.count), 0)] {
      withUnsafeBytes(of: word.littleEndian) { trailer += $0 }
    }
    try write(trailer + PackedFileIndex.endMagic, tensor: nil)
    try output.commit()
  }

  /// One slot for each tensor of a batch, written by the worker that packs the tensor.
  private final class Places: @unchecked Sendable {
    let parts: UnsafeMutableBufferPointer<[Content]>
    init(_ count: Int) {
      parts = .allocate(capacity: count)
      parts.initialize(repeating: [])
    }
    deinit {
      parts.deinitialize()
      parts.deallocate()
    }
  }
}

extension ParameterSpecification {
  /// Whether products read it in a number format.
  var isLinear: Bool { if case .linear = role { true } else { false } }
}

extension Array {
  /// Consecutive parts of at most `count` elements.
  func batches(of count: Int) -> [[Element]] {
    stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
  }
}
