import Parameters
import Tensors

/// A run of neighbouring tensors whose gradients are summed over the ranks together.
struct GradientBucket: Equatable {
  /// Elements of the store's buffer.
  var elements: Range<Int>
  /// Whether the tensors belong to mini-MoEs, which only the ranks that hold the same mini-MoEs sum.
  let isCouncil: Bool
  /// Number of tensors in the bucket.
  var tensors = 1

  /// Cuts a store's gradients into buckets.
  ///
  /// - Parameters:
  ///   - order: the tensors in the order in which the backward pass finishes them.
  ///   - size: maximum elements of a bucket; a larger tensor gets a bucket to itself.
  /// - Returns: the buckets, and the index of each tensor's bucket (nil if the store does not hold the tensor).
  static func cut(
    _ store: ParameterStore, order: [ParameterID], size: Int
  ) -> (buckets: [GradientBucket], bucketOf: [Int?]) {
    var buckets: [GradientBucket] = []
    var bucketOf = [Int?](repeating: nil, count: store.table.count)
    for id in order where store.holds(id) {
      let start = store.offset(id)
      let end = start + VectorLanes.padded(store.table[id].count)
      let isCouncil = store.table[id].miniMoE != nil
      if let last = buckets.last, last.elements.upperBound == start, last.isCouncil == isCouncil,
        end - last.elements.lowerBound <= size
      {
        buckets[buckets.count - 1].elements = last.elements.lowerBound..<end
        buckets[buckets.count - 1].tensors += 1
      } else {
        buckets.append(GradientBucket(elements: start..<end, isCouncil: isCouncil))
      }
      bucketOf[id.index] = buckets.count - 1
    }
    return (buckets, bucketOf)
  }
}
