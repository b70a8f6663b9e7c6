import LowBit
import Tensors

/// The whole model as products read it: linear weights in their packed formats, everything else in fp32.
///
/// The sampler and the training forward pass share this type (the policy replica is one): packing the same masters
/// gives the same bits. A packed model may hold only some of the tensors, as a rank's training weights do.
public final class PackedModel: @unchecked Sendable {
  public let table: ParameterTable
  /// The tensors held, in the order of the table.
  public let held: [ParameterID]
  private let packed: [PackedWeights?]
  private let denseOffsets: [Int?]
  private let dense: AlignedBuffer<Float>
  /// Elements and last extent of each parameter of the table.
  private let counts: [Int]
  private let lastExtents: [Int]
  /// Values computed from weights once per packing (the denoiser's time table), filled by the model.
  public let derived: AlignedBuffer<Float>

  /// - Parameter held: the tensors to hold, ascending; nil means all.
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

  /// A packed model in memory that already has its contents, for example a mapped file.
  ///
  /// - Parameters:
  ///   - packed: the linear weights in table order, nil for other parameters.
  ///   - dense: the other parameters, laid out as `denseLayout` says.
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
    counts = table.specifications.map(\.count)
    lastExtents = table.specifications.map(\.inputs)
  }

  /// The first element (a multiple of sixteen) of each held parameter that is not a linear weight in the block of fp32
  /// values, by index in the table; and the size of the block.
  public static func denseLayout(
    _ table: ParameterTable, holding held: [ParameterID]? = nil
  ) -> (offsets: [Int?], count: Int) {
    var offsets = [Int?](repeating: nil, count: table.count)
    var next = 0
    for id in held ?? table.ids {
      if case .linear = table[id].role { continue }
      offsets[id.index] = next
      next += VectorLanes.padded(table[id].count)
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

  /// The fp32 values of a parameter that is not a linear weight, as rows of the length of its last extent: one row for a
  /// norm or a bias, one row per matrix for the biases of a stack.
  public func rows(_ id: ParameterID) -> Matrix {
    let pointer = values(id)
    let columns = lastExtents[id.index]
    return Matrix(pointer, rows: counts[id.index] / columns, columns: columns)
  }

  /// The memory of a held tensor: codes and scales, or fp32 values.
  public func memory(_ id: ParameterID) -> [UnsafeMutableRawBufferPointer] {
    guard let weights = packed[id.index] else {
      return [UnsafeMutableRawBufferPointer(start: values(id), count: 4 * table[id].count)]
    }
    return [
      UnsafeMutableRawBufferPointer(weights.data.bufferPointer),
      UnsafeMutableRawBufferPointer(weights.scales.bufferPointer),
    ]
  }

  /// Packs the masters of the held tensors. The model refreshes derived values.
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

  /// Copies all tensors that another packing of the same table holds; this one must hold them, too. Other tensors stay.
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
