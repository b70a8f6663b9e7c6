import Parameters
import Synchronization
import Tensors

/// Where a unit's products of stacks are added as 64-bit fixed point with quantum 2⁻⁵⁰, so that their sums do not depend
/// on the order of units and on which rank computed which.
///
/// Products are added as they leave the cache, a few rows at a time: no gradient of a stack is written in fp32.
public final class UnitSums: @unchecked Sendable {
  private let sums: FixedPointSums
  private let layout: ParameterStore
  /// The lowest index of a tensor that could not be added since `takeFailure`.
  private let failed = Atomic<Int>(.max)

  /// - Parameters:
  ///   - sums: one number for each of `layout`, which other units may share.
  ///   - layout: where tensors lie in `sums`.
  public init(_ sums: FixedPointSums, layout: ParameterStore) {
    precondition(sums.count == layout.buffer.count, "\(sums.count) sums of \(layout.buffer.count) gradients")
    self.sums = sums
    self.layout = layout
  }

  /// The tensors whose gradients are added here, and nowhere in fp32.
  public static func takes(_ specification: ParameterSpecification) -> Bool { specification.matrices > 1 }

  /// Adds `count` values to the elements of a tensor from `first`; one thread at a time for each element.
  func add(_ values: UnsafePointer<Float>, count: Int, to id: ParameterID, at first: Int) {
    guard sums.add(values, count: count, at: layout.offset(id) + first) != nil else { return }
    failed.min(id.index, ordering: .relaxed)
  }

  /// The first tensor, since the last call, with a gradient that is not finite or not below ±2⁴⁰.
  public func takeFailure() -> ParameterID? {
    let index = failed.exchange(.max, ordering: .relaxed)
    return index == .max ? nil : ParameterID(index)
  }
}
