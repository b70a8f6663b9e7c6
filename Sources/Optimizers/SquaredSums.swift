import Parameters
import Tensors

/// Computes Σ x² of each tensor of gradients or masters, with the bits of `GradientNorm.squaredSum`, on several
/// threads. Memory is allocated once; computing the sums allocates nothing.
public final class SquaredSums: @unchecked Sendable {
  /// Σ x² of each tensor of the table; 0 for tensors that are not counted.
  public let values: AlignedBuffer<Double>
  private let table: ParameterTable
  private let chunks: [ParameterPart]
  private let partials: AlignedBuffer<Double>

  /// - Parameter ids: the tensors to count, ascending.
  public init(_ table: ParameterTable, counting ids: [ParameterID]) {
    self.table = table
    values = AlignedBuffer(count: table.count)
    chunks = ids.flatMap { id in
      stride(from: 0, to: table[id].count, by: GradientNorm.chunk).map { start in
        ParameterPart(id, start..<min(start + GradientNorm.chunk, table[id].count))
      }
    }
    partials = AlignedBuffer(count: chunks.count)
  }

  /// Computes the sums of `gradients`, which must hold all elements of every counted tensor.
  public func take(from gradients: ParameterStore, pool: WorkerPool) {
    pool.split(chunks.count, cost: .moved(GradientNorm.chunk / 2)) { _, range in
      for index in range {
        partials.pointer[index] = gradients.vector(chunks[index]).squaredSum
      }
    }
    values.clear()
    for index in chunks.indices { values.pointer[chunks[index].id.index] += partials.pointer[index] }
  }

  /// The norm over all tensors: the square root of the sum of the values in name order, which is table order.
  public var norm: Double {
    var sum = 0.0
    for value in values.bufferPointer { sum += value }
    return sum.squareRoot()
  }

  /// The first tensor, in name order, with an element that is not finite. Squares of finite values do not overflow
  /// float64.
  public var nonfinite: String? {
    for (index, value) in values.bufferPointer.enumerated() where !value.isFinite {
      return table[ParameterID(index)].name
    }
    return nil
  }
}
