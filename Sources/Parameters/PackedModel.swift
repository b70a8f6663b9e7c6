import LowBit
import Tensors

/// The whole model as products read it: linear weights in their packed formats, everything else in fp32.
///
/// It is what the sampler and the training forward pass share (the policy replica is one): the same packing of the
/// same masters gives the same bits.
public final class PackedModel: @unchecked Sendable {
  public let table: ParameterTable
  private let packed: [PackedWeights?]
  private let denseOffsets: [Int]
  private let dense: AlignedBuffer<Float>
  /// Values computed from weights once per packing (the denoiser's time table), filled by the model.
  public let derived: AlignedBuffer<Float>

  public init(_ table: ParameterTable, int4Group: Int, derivedCount: Int) {
    self.table = table
    var offsets: [Int] = []
    var next = 0
    var packed: [PackedWeights?] = []
    for specification in table.specifications {
      offsets.append(next)
      if case .linear(let format) = specification.role {
        packed.append(
          PackedWeights(
            format: format, count: specification.matrices, rows: specification.outputs, columns: specification.inputs,
            int4Group: int4Group))
      } else {
        packed.append(nil)
        next += (specification.count + 15) & ~15
      }
    }
    self.packed = packed
    denseOffsets = offsets
    dense = AlignedBuffer(count: next)
    derived = AlignedBuffer(count: derivedCount)
  }

  /// The packed form of a linear weight.
  public func weights(_ id: ParameterID) -> PackedWeights {
    guard let weights = packed[id.index] else { preconditionFailure("\(table[id].name) is not a linear weight") }
    return weights
  }

  /// The fp32 values of a parameter that is not a linear weight.
  public func values(_ id: ParameterID) -> UnsafeMutablePointer<Float> {
    precondition(packed[id.index] == nil, "\(table[id].name) is packed")
    return dense.pointer + denseOffsets[id.index]
  }

  /// Packs the masters; derived values are the model's to refresh.
  public func pack(_ masters: ParameterStore, pool: WorkerPool) {
    for id in table.ids {
      if let weights = packed[id.index] {
        weights.pack(masters.pointer(id), pool: pool)
      } else {
        values(id).update(from: masters.pointer(id), count: table[id].count)
      }
    }
  }

  /// Becomes a copy of another packing of the same table.
  public func copy(from other: PackedModel) {
    precondition(table == other.table, "copy between packings of different models")
    for (target, source) in zip(packed, other.packed) {
      if let target, let source { target.copy(from: source) }
    }
    dense.pointer.update(from: other.dense.pointer, count: dense.count)
    derived.pointer.update(from: other.derived.pointer, count: derived.count)
  }

  /// Bytes held: codes, scales and fp32 values, padding included.
  public var byteCount: Int {
    packed.reduce(4 * (dense.count + derived.count)) { $0 + ($1.map { $0.data.count + 4 * $0.scales.count } ?? 0) }
  }
}
