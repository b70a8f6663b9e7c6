import Parameters
import Synchronization
import Tensors

/// Accumulates a unit's weight-gradient products of stacks as 64-bit fixed point with quantum 2⁻⁵⁰, so that sums do not
/// depend on the order of units or on which rank computed which unit.
///
/// Products are added while they are in the cache, a few rows at a time; no gradient of a stack is written in fp32.
public final class UnitSums: @unchecked Sendable {
  private let sums: FixedPointSums
  private let layout: ParameterStore
  /// The lowest index of a tensor that could not be added since the last `takeFailure`.
  private let failed = Atomic<Int>(.max)

  /// - Parameters:
  ///   - sums: one number for each element of `layout`; units may share them.
  ///   - layout: the offsets of the tensors in `sums`.
  public init(_ sums: FixedPointSums, layout: ParameterStore) {
    precondition(sums.count == layout.buffer.count, "\(sums.count) sums of \(layout.buffer.count) gradients")
    self.sums = sums
    self.layout = layout
  }

  /// Whether the gradients of a tensor are added here, and nowhere in fp32.
  public static func takes(_ specification: ParameterSpecification) -> Bool { specification.matrices > 1 }

  /// Adds `values` to the elements of a tensor starting at `first`. Only one thread at a time may add to an element.
  func add(_ values: Vector, to id: ParameterID, at first: Int) {
    guard sums.add(values.pointer, count: values.count, at: layout.offset(id) + first) != nil else { return }
    failed.min(id.index, ordering: .relaxed)
  }

  /// Returns the first tensor, since the last call, whose gradient is not finite or not below ±2⁴⁰.
  public func takeFailure() -> ParameterID? {
    let index = failed.exchange(.max, ordering: .relaxed)
    return index == .max ? nil : ParameterID(index)
  }
}
