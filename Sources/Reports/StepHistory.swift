/// The values of a metric over the steps of a run, for a picture: all values of a short run, and evenly spaced values of a
/// long run, so that memory is bounded.
package struct StepHistory: Sendable {
  /// Maximum number of points kept, in addition to the last one.
  package static let limit = 2048

  /// The minimum and maximum of all values, kept or not; nil before the first value.
  package private(set) var minimum: Double?
  package private(set) var maximum: Double?
  private var kept: [(x: Double, y: Double)] = []
  private var last: (x: Double, y: Double)?
  /// One of `stride` values is kept.
  private var stride = 1
  private var count = 0

  package init() {}

  /// (step, value) in the order of the steps, always with the first and the last value.
  package var points: [(x: Double, y: Double)] {
    guard let last, kept.last?.x != last.x else { return kept }
    return kept + [last]
  }

  package mutating func append(step: Int, _ value: Double) {
    minimum = min(minimum ?? value, value)
    maximum = max(maximum ?? value, value)
    last = (Double(step), value)
    defer { count += 1 }
    guard count.isMultiple(of: stride) else { return }
    if kept.count == Self.limit {
      kept = kept.enumerated().compactMap { $0.offset.isMultiple(of: 2) ? $0.element : nil }
      stride *= 2
      guard count.isMultiple(of: stride) else { return }
    }
    kept.append((Double(step), value))
  }
}
