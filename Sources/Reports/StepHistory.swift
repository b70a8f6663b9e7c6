/// The values of a figure over a run's steps, for a picture: all of a short run, evenly thinned ones of a long run, so that
/// memory does not grow with the steps.
package struct StepHistory: Sendable {
  /// Points that are kept at most, beside the last one.
  package static let limit = 2048

  /// The least and the largest value of all, kept or not; nil before the first.
  package private(set) var least: Double?
  package private(set) var largest: Double?
  private var kept: [(x: Double, y: Double)] = []
  private var last: (x: Double, y: Double)?
  /// One of so many values is kept.
  private var stride = 1
  private var count = 0

  package init() {}

  /// (step, value) in the order of the steps; the first and the last are always there.
  package var points: [(x: Double, y: Double)] {
    guard let last, kept.last?.x != last.x else { return kept }
    return kept + [last]
  }

  package mutating func append(step: Int, _ value: Double) {
    least = min(least ?? value, value)
    largest = max(largest ?? value, value)
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
