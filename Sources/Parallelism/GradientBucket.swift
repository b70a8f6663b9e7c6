import Parameters

/// Neighbouring tensors whose gradients are summed together.
struct GradientBucket: Equatable {
  /// In the store's buffer.
  var elements: Range<Int>
  /// Whether they are mini-MoEs', which only ranks with the same ones sum.
  let isCouncil: Bool
  /// How many there are.
  var tensors = 1

  /// Cuts a store's gradients into buckets.
  ///
  /// - Parameters:
  ///   - order: how buckets follow one another: tensors in the order in which backward ends them.
  ///   - size: the elements of a bucket, which a tensor that is larger exceeds.
  /// - Returns: the buckets, and the bucket of each tensor of the table (nil where the store does not hold it).
  static func cut(
    _ store: ParameterStore, order: [ParameterID], size: Int
  ) -> (buckets: [GradientBucket], place: [Int?]) {
    var buckets: [GradientBucket] = []
    var place = [Int?](repeating: nil, count: store.table.count)
    for id in order where store.holds(id) {
      let start = store.offset(id)
      let end = start + (store.table[id].count + 15) & ~15
      let isCouncil = store.table[id].miniMoE != nil
      if let last = buckets.last, last.elements.upperBound == start, last.isCouncil == isCouncil,
        end - last.elements.lowerBound <= size
      {
        buckets[buckets.count - 1].elements = last.elements.lowerBound..<end
        buckets[buckets.count - 1].tensors += 1
      } else {
        buckets.append(GradientBucket(elements: start..<end, isCouncil: isCouncil))
      }
      place[id.index] = buckets.count - 1
    }
    return (buckets, place)
  }
}
