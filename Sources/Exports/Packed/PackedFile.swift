import CKernels
import Formats
import Foundation
import LowBit
import Parameters
import Synchronization
import Tensors

/// A packed model on disk: exactly the policy replica's numbers, ready for generation.
///
/// Two layouts of the same content (`PackedFileIndex` has the bytes):
/// - `compressed`: rows of codes and scales, independent of the kernels, each part a zstd frame; for storage and
///   transfer.
/// - `mapped`: the kernels' own layout, used from the file's pages without a copy; for a fast start. It is valid only
///   if the kernels of this program on this machine have the same layout (`PackedWeights.layoutFingerprint`).
///
/// Opening validates the index; `load` verifies the XXH64 of every part before its bytes are used.
public final class PackedFile: Sendable {
  public enum Layout: String, Sendable, Codable, CaseIterable {
    case compressed, mapped
  }

  public let path: String
  public var layout: Layout { index.layout }
  /// Sizes, formats and tokenizer of the model.
  public var configuration: ConfigurationTree { index.configuration }
  /// The origin of the weights.
  public var metadata: [String: String] { index.metadata }
  /// Bytes of the file.
  public var byteCount: Int { file.bytes.count }

  private let index: PackedFileIndex
  private let file: MappedFile

  /// Whether the file at `path` starts like a packed model.
  public static func isPacked(_ path: String) -> Bool {
    guard let handle = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? handle.close() }
    let start = (try? handle.read(upToCount: PackedFileIndex.magic.count)) ?? nil
    return start.map { $0.elementsEqual(PackedFileIndex.magic) } ?? false
  }

  public init(path: String) throws(PackedFileError) {
    self.path = path
    file = try MappedFile(path: path)
    index = try PackedFileIndex.read(UnsafeRawBufferPointer(file.bytes), path: path).0
    guard layout == .mapped else { return }
    let here = PackedFileIndex.kernelLayout
    for format in Set(index.tensors.map(\.format)).sorted() where index.kernelLayout[format] != here[format] {
      throw PackedFileError(
        .otherLayout, path: path,
        "holds \(SafetensorsError.printable(format)) weights in the layout of other kernels than this program's here",
        remedy: "write the file again on this machine, or use the compressed layout, which every machine reads")
    }
  }

  /// The weights of a model with these parameters.
  ///
  /// - Parameter derivedCount: the number of values that the model computes from its weights after loading.
  /// - Throws: `PackedFileError` naming the tensor that is missing, extra, of another shape, or damaged.
  public func load(
    _ table: ParameterTable, int4Group: Int, derivedCount: Int, pool: WorkerPool
  ) throws(PackedFileError) -> PackedModel {
    try checkTensors(table, int4Group: int4Group)
    try verify(pool)
    let tensors = Dictionary(uniqueKeysWithValues: index.tensors.map { ($0.name, $0) })
    let own = table.specifications.compactMap { tensors[$0.name] }
    switch layout {
    case .mapped:
      let model = try mapped(table, own, int4Group: int4Group, derivedCount: derivedCount)
      try checkNumbers(own, of: model, pool)
      return model
    case .compressed:
      let model = PackedModel(table, int4Group: int4Group, derivedCount: derivedCount)
      try expand(own, into: model, pool)
      return model
    }
  }

  /// Recomputes the hash of every part.
  public func verify(_ pool: WorkerPool) throws(PackedFileError) {
    let parts = index.tensors.flatMap { tensor in tensor.parts.map { (tensor.name, $0) } }
    let bad = Atomic<Int>(Int.max)
    pool.each(parts.count) { _, number in
      let part = parts[number].1
      let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[part.offset..<part.offset + part.bytes])
      if PackedFileIndex.hex(ck_xxh64(bytes.baseAddress, Int64(bytes.count), 0)) != part.xxh64 {
        bad.min(number, ordering: .relaxed)
      }
    }
    let first = bad.load(ordering: .relaxed)
    guard first < parts.count else { return }
    let (name, part) = parts[first]
    throw PackedFileError(
      .corrupt, path: path, tensor: name, offset: part.offset, "its \(part.bytes) bytes do not match their hash",
      remedy: "copy the file again or write it again with quillan quantize")
  }

  private func checkTensors(_ table: ParameterTable, int4Group: Int) throws(PackedFileError) {
    func mismatch(_ name: String, _ problem: String) -> PackedFileError {
      PackedFileError(
        .mismatch, path: path, tensor: name, problem, remedy: "write the file again from the model's weights")
    }
    let tensors = Dictionary(uniqueKeysWithValues: index.tensors.map { ($0.name, $0) })
    for specification in table.specifications {
      guard let tensor = tensors[specification.name] else {
        throw mismatch(specification.name, "is missing")
      }
      guard tensor.shape == specification.shape else {
        throw mismatch(specification.name, "has shape \(tensor.shape), the model's is \(specification.shape)")
      }
      let expected = expectedParts(specification, int4Group: int4Group)
      guard tensor.format == expected.format, tensor.group == expected.group else {
        throw mismatch(specification.name, "is in \(SafetensorsError.printable(tensor.format)), not \(expected.format)")
      }
      guard tensor.parts.map(\.kind) == expected.parts.map(\.0), tensor.parts.map(\.content) == expected.parts.map(\.1),
        layout == .compressed || tensor.parts.allSatisfy({ $0.bytes == $0.content })
      else { throw mismatch(specification.name, "does not have the parts of its format") }
    }
    for tensor in index.tensors where table.id(tensor.name) == nil {
      throw mismatch(tensor.name, "is not a parameter of this model")
    }
  }

  /// The format and parts that a tensor of this specification must have.
  private func expectedParts(_ specification: ParameterSpecification, int4Group: Int) -> (
    format: String, group: Int, parts: [(PackedFileIndex.Part.Kind, Int)]
  ) {
    guard case .linear(let format) = specification.role else {
      return ("fp32", 0, [(.values, 4 * specification.count)])
    }
    let inputs = specification.inputs
    let group = format.isInteger ? (format == .int4 && inputs > int4Group ? int4Group : inputs) : 0
    let rows = specification.matrices * specification.outputs
    var parts: [(PackedFileIndex.Part.Kind, Int)]
    if layout == .mapped {
      let size = PackedWeights.storage(
        format: format, count: specification.matrices, rows: specification.outputs, columns: inputs,
        int4Group: int4Group)
      parts = [(.kernelData, size.bytes)]
      if group > 0 { parts.append((.kernelScales, 4 * size.scales)) }
    } else {
      parts = [(.rows, rows * PackedWeights.portableRowBytes(format, columns: inputs))]
      if group > 0 { parts.append((.scales, 4 * rows * (inputs / group))) }
    }
    return (format.rawValue, group, parts)
  }

  private func mapped(
    _ table: ParameterTable, _ tensors: [PackedFileIndex.Tensor], int4Group: Int, derivedCount: Int
  ) throws(PackedFileError) -> PackedModel {
    func view<Element: BitwiseCopyable>(_ part: PackedFileIndex.Part, _ type: Element.Type) -> AlignedBuffer<Element> {
      let count = part.bytes / MemoryLayout<Element>.stride
      let start = UnsafeMutableRawPointer(mutating: UnsafeRawPointer(file.bytes.baseAddress! + part.offset))
      return AlignedBuffer(start.bindMemory(to: type, capacity: count), count: count, owner: file)
    }
    let layout = PackedModel.denseLayout(table)
    var packed: [PackedWeights?] = []
    var denseStart: Int?
    for (place, (specification, tensor)) in zip(table.specifications, tensors).enumerated() {
      guard case .linear(let format) = specification.role else {
        let start = tensor.parts[0].offset - 4 * (layout.offsets[place] ?? 0)
        guard denseStart ?? start == start, start >= 0 else {
          throw PackedFileError(
            .mismatch, path: path, tensor: tensor.name, offset: tensor.parts[0].offset,
            "is not in the order of the model's parameters", remedy: "write the file again")
        }
        denseStart = start
        packed.append(nil)
        continue
      }
      packed.append(
        PackedWeights(
          format: format, count: specification.matrices, rows: specification.outputs, columns: specification.inputs,
          int4Group: int4Group, data: view(tensor.parts[0], UInt8.self),
          scales: tensor.parts.count > 1 ? view(tensor.parts[1], Float.self) : AlignedBuffer(count: 0)))
    }
    let dense: AlignedBuffer<Float>
    if let denseStart {
      let bytes = min(4 * layout.count, file.bytes.count - denseStart)
      guard bytes == 4 * layout.count else {
        throw PackedFileError(
          .truncated, path: path, offset: denseStart, "the values end early", remedy: "write the file again")
      }
      let part = PackedFileIndex.Part(kind: .values, offset: denseStart, bytes: bytes, content: bytes, xxh64: "")
      dense = view(part, Float.self)
    } else {
      dense = AlignedBuffer(count: layout.count)
    }
    return PackedModel(table, packed: packed, dense: dense, derivedCount: derivedCount)
  }

  /// Refuses the values that `expand` refuses, since the kernels would compute with them.
  private func checkNumbers(_ tensors: [PackedFileIndex.Tensor], of model: PackedModel, _ pool: WorkerPool)
    throws(PackedFileError)
  {
    try checkEach(tensors, pool) { tensor in
      let id = model.table.require(tensor.name)
      guard case .linear = model.table[id].role else {
        return UnsafeBufferPointer(start: model.values(id), count: model.table[id].count).allSatisfy(\.isFinite)
      }
      return model.weights(id).isSound
    }
  }

  /// - Throws: `PackedFileError` for the first tensor that `isGood` refuses; several threads call it.
  private func checkEach(
    _ tensors: [PackedFileIndex.Tensor], _ pool: WorkerPool, _ isGood: @Sendable (PackedFileIndex.Tensor) -> Bool
  ) throws(PackedFileError) {
    let bad = Atomic<Int>(Int.max)
    pool.each(tensors.count) { _, number in
      if !isGood(tensors[number]) { bad.min(number, ordering: .relaxed) }
    }
    let first = bad.load(ordering: .relaxed)
    guard first < tensors.count else { return }
    throw PackedFileError(
      .corrupt, path: path, tensor: tensors[first].name, offset: tensors[first].parts[0].offset,
      "has a frame, code, value or scale that weights cannot have", remedy: "write the file again")
  }

  /// Decompresses every tensor into the model, several at a time.
  private func expand(_ tensors: [PackedFileIndex.Tensor], into model: PackedModel, _ pool: WorkerPool)
    throws(PackedFileError)
  {
    let alone = WorkerPool(threads: 1)
    try checkEach(tensors, pool) { tensor in
      expand(tensor, model.table.require(tensor.name), into: model, alone)
    }
  }

  private func expand(
    _ tensor: PackedFileIndex.Tensor, _ id: ParameterID, into model: PackedModel, _ pool: WorkerPool
  ) -> Bool {
    func frame(_ part: PackedFileIndex.Part) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: file.bytes[part.offset..<part.offset + part.bytes])
    }
    guard case .linear(let format) = model.table[id].role else {
      let target = UnsafeMutableBufferPointer(start: model.values(id), count: model.table[id].count)
      return ZstdFrame.decompress(frame(tensor.parts[0]), width: 4, into: UnsafeMutableRawBufferPointer(target))
        && target.allSatisfy { $0.isFinite }
    }
    let weights = model.weights(id)
    let bytes = AlignedBuffer<UInt8>(count: tensor.parts[0].content)
    let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
    guard
      ZstdFrame.decompress(
        frame(tensor.parts[0]), width: format.elementBytes, into: UnsafeMutableRawBufferPointer(bytes.bufferPointer))
    else { return false }
    if tensor.parts.count > 1 {
      guard
        ZstdFrame.decompress(
          frame(tensor.parts[1]), width: 4, into: UnsafeMutableRawBufferPointer(scales.bufferPointer))
      else { return false }
    }
    return weights.importRows(bytes: bytes.pointer, scales: scales.pointer, pool: pool) == nil
  }
}

extension NumberFormat {
  /// Bytes of an element in a row of a file; codes are grouped by bytes.
  var elementBytes: Int {
    switch self {
    case .fp32: 4
    case .fp16, .bf16: 2
    case .ternary, .int4, .int8: 1
    }
  }
}
