import LowBit
import Tensors

/// The whole model as products read it: linear weights in their packed formats, everything else in fp32.
///
/// It is what the sampler and the training forward pass share (the policy replica is one): the same packing of the
/// same masters gives the same bits. It may hold some of the tensors only, as a rank's training weights do.
public final class PackedModel: @unchecked Sendable {
  public let table: ParameterTable
  /// The tensors held, in the order of the table.
  public let held: [ParameterID]
  private let packed: [PackedWeights?]
  private let denseOffsets: [Int?]
  private let dense: AlignedBuffer<Float>
  /// Values computed from weights once per packing (the denoiser's time table), filled by the model.
  public let derived: AlignedBuffer<Float>

  /// - Parameter held: the tensors to hold, ascending; nil: all.
  public convenience init(
    _ table: ParameterTable, holding held: [ParameterID]? = nil, int4Group: Int, derivedCount: Int
  ) {
    let held = held ?? table.ids
    var packed = [PackedWeights?](repeating: nil, count: table.count)
    for id in held {
      guard case .linear(let format) = table[id].role else { continue }
      packed[id.index] = PackedWeights(
        format: format, count: table[id].matrices, rows: table[id].outputs, columns: table[id].inputs,
        int4Group: int4Group)
    }
    self.init(
      table, holding: held, packed: packed, dense: AlignedBuffer(count: Self.denseLayout(table, holding: held).count),
      derivedCount: derivedCount)
  }

  /// A packed form over memory that holds one already, for example a mapped file.
  ///
  /// - Parameters:
  ///   - packed: the linear weights in the order of the table, nil for other parameters.
  ///   - dense: the others as `denseLayout` places them.
  public init(
    _ table: ParameterTable, holding held: [ParameterID]? = nil, packed: [PackedWeights?], dense: AlignedBuffer<Float>,
    derivedCount: Int
  ) {
    let held = held ?? table.ids
    let layout = Self.denseLayout(table, holding: held)
    precondition(
      packed.count == table.count && dense.count == layout.count,
      "\(packed.count) weights and \(dense.count) values for \(table.count) parameters, \(layout.count) values")
    self.table = table
    self.held = held
    self.packed = packed
    self.dense = dense
    denseOffsets = layout.offsets
    derived = AlignedBuffer(count: derivedCount)
  }

  /// Where each held parameter that is not a linear weight starts in the block of fp32 values (element, a multiple of
  /// sixteen), by its place in the table, and the block's size.
  public static func denseLayout(
    _ table: ParameterTable, holding held: [ParameterID]? = nil
  ) -> (offsets: [Int?], count: Int) {
    var offsets = [Int?](repeating: nil, count: table.count)
    var next = 0
    for id in held ?? table.ids {
      if case .linear = table[id].role { continue }
      offsets[id.index] = next
      next += (table[id].count + 15) & ~15
    }
    return (offsets, next)
  }

  /// The packed form of a linear weight.
  public func weights(_ id: ParameterID) -> PackedWeights {
    guard let weights = packed[id.index] else {
      preconditionFailure("\(table[id].name) is not a linear weight that this rank holds")
    }
    return weights
  }

  /// The fp32 values of a parameter that is not a linear weight.
  public func values(_ id: ParameterID) -> UnsafeMutablePointer<Float> {
    guard let offset = denseOffsets[id.index] else {
      preconditionFailure("\(table[id].name) is packed, or not held by this rank")
    }
    return dense.pointer + offset
  }

  /// The memory of a held tensor: its codes and scales, or its fp32 values.
  public func memory(_ id: ParameterID) -> [UnsafeMutableRawBufferPointer] {
    guard let weights = packed[id.index] else {
      return [UnsafeMutableRawBufferPointer(start: values(id), count: 4 * table[id].count)]
    }
    return [
      UnsafeMutableRawBufferPointer(weights.data.bufferPointer),
      UnsafeMutableRawBufferPointer(weights.scales.bufferPointer),
    ]
  }

  /// Packs the masters of the held tensors; derived values are the model's to refresh.
  public func pack(_ masters: ParameterStore, pool: WorkerPool) {
    for id in held {
      precondition(masters.holds(id), "packing \(table[id].name), whose masters are elsewhere")
      if let weights = packed[id.index] {
        weights.pack(masters.pointer(id), pool: pool)
      } else {
        values(id).update(from: masters.pointer(id), count: table[id].count)
      }
    }
  }

  /// Takes over what another packing of the same table holds, which must be held here, too; the rest stays.
  public func copy(from other: PackedModel) {
    precondition(table == other.table, "copy between packings of different models")
    for id in other.held {
      if let source = other.packed[id.index] {
        weights(id).copy(from: source)
      } else {
        values(id).update(from: other.values(id), count: table[id].count)
      }
    }
    derived.pointer.update(from: other.derived.pointer, count: derived.count)
  }

  /// Bytes held: codes, scales and fp32 values, padding included.
  public var byteCount: Int {
    packed.reduce(4 * (dense.count + derived.count)) { $0 + ($1.map { $0.data.count + 4 * $0.scales.count } ?? 0) }
  }
}
