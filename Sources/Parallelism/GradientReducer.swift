import CKernels
import MPI
import Parameters
import Tensors

/// Adds gradients over units of work and over ranks.
///
/// A unit is a piece of the batch that no layout cuts (a GRPO group). With `reproducible`, each unit's gradient is
/// added as 64-bit fixed point with quantum 2⁻⁵⁰, so the sum does not depend on which rank computed which unit; it
/// costs 8 bytes per parameter. Otherwise gradients are fp32 sums, in a fixed order for a fixed layout.
public final class GradientReducer {
  public let gradients: ParameterStore
  private let sums: AlignedBuffer<Int64>?
  private let communicator: Communicator

  public init(_ table: ParameterTable, reproducible: Bool, communicator: Communicator) {
    gradients = ParameterStore(table)
    sums = reproducible ? AlignedBuffer(count: table.storeCount) : nil
    self.communicator = communicator
  }

  public var isReproducible: Bool { sums != nil }

  /// Forgets all gradients; call before the first unit of a step.
  public func begin() {
    gradients.clear()
    sums?.clear()
  }

  /// Ends a unit: with fixed point, folds `gradients` into the sums and clears them. Local.
  ///
  /// - Returns: the tensor whose gradient cannot be added (not finite, or beyond ±2⁶¹ quanta), or nil.
  public func endUnit() -> ParameterID? {
    guard let sums else { return nil }
    for id in gradients.table.ids {
      let offset = gradients.table.offsets[id.index]
      let count = gradients.table[id].count
      if ck_fixed_add(Int64(count), gradients.pointer(id), sums.pointer + offset) >= 0 { return id }
    }
    gradients.clear()
    return nil
  }

  /// Sums over all ranks; afterwards `gradients` holds the totals on every rank. Collective.
  public func reduce() throws(MPIError) {
    if let sums {
      if communicator.size > 1 { try communicator.allReduce(sums.bufferPointer, .sum) }
      ck_fixed_read(Int64(sums.count), sums.pointer, gradients.buffer.pointer)
    } else if communicator.size > 1 {
      try communicator.allReduce(gradients.buffer.bufferPointer, .sum)
    }
  }
}
