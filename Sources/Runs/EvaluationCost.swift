import Errors
import Rollouts

/// Notices that a run spends more time on evaluations than on training.
package struct EvaluationCost {
  private var training = 0.0
  private var evaluation = 0.0
  private var isSaid = false
  /// Seconds of evaluation from which it matters.
  private static let least = 5.0

  package init() {}

  package mutating func add(training seconds: Double) { training += seconds }

  /// Adds an evaluation between steps.
  ///
  /// - Parameters:
  ///   - every: the key that sets how often there is one, and its value.
  ///   - count: what an evaluation looks at.
  /// - Returns: once in a run, a line that says so.
  package mutating func add(evaluation seconds: Double, every: (key: String, value: Int), count: Int) -> String? {
    evaluation += seconds
    guard !isSaid, evaluation >= Self.least, evaluation > training else { return nil }
    isSaid = true
    return "evaluations have taken \(FigureText.duration(evaluation)) so far and training "
      + "\(FigureText.duration(training)): raise \(every.key) (\(every.value)) or lower evaluation.count (\(count))"
  }
}
