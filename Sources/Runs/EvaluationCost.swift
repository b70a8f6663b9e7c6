import Errors
import Rollouts

/// Detects that a run spends more time on evaluation than on training.
package struct EvaluationCost {
  private var training = 0.0
  private var evaluation = 0.0
  private var hasWarned = false
  /// Minimum seconds of evaluation before a warning.
  private static let minimum = 5.0

  package init() {}

  package mutating func add(training seconds: Double) { training += seconds }

  /// Adds an evaluation between steps.
  ///
  /// - Parameters:
  ///   - every: the key of the evaluation interval, and its value.
  ///   - count: the number of prompts or text windows of an evaluation.
  /// - Returns: A warning, at most once per run.
  package mutating func add(evaluation seconds: Double, every: (key: String, value: Int), count: Int) -> String? {
    evaluation += seconds
    guard !hasWarned, evaluation >= Self.minimum, evaluation > training else { return nil }
    hasWarned = true
    return "evaluations have taken \(FigureText.duration(evaluation)) so far and training "
      + "\(FigureText.duration(training)): raise \(every.key) (\(every.value)) or lower evaluation.count (\(count))"
  }
}
