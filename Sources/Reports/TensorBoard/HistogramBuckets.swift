/// Counts values in equal intervals between minimum and maximum, as TensorBoard shows them.
package enum HistogramBuckets {
  /// TensorBoard always draws 30 buckets.
  private static let bucketCount = 30

  /// The histogram of the finite values; nil if there are none.
  package static func histogram(_ values: [Double]) -> TensorBoardHistogramProto? {
    let values = values.filter(\.isFinite)
    guard let smallest = values.min(), let largest = values.max() else { return nil }
    let step = (largest - smallest) / Double(bucketCount)
    var histogram = TensorBoardHistogramProto()
    histogram.min = smallest
    histogram.max = largest
    histogram.num = Double(values.count)
    histogram.sum = values.reduce(0, +)
    histogram.sumSquares = values.reduce(0) { $0 + $1 * $1 }
    guard step > 0, step.isFinite else {
      // All values are equal, or the width of a bucket underflows or overflows.
      histogram.bucketLimit = [largest]
      histogram.bucket = [Double(values.count)]
      return histogram
    }
    var counts = [Double](repeating: 0, count: bucketCount)
    for value in values {
      // The largest value belongs to the last bucket.
      counts[min(bucketCount - 1, Int((value - smallest) / step))] += 1
    }
    histogram.bucketLimit = (1..<bucketCount).map { smallest + Double($0) * step } + [largest]
    histogram.bucket = counts
    return histogram
  }
}
