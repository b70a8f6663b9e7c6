import Errors
import Learning
import Rollouts

/// Log lines about scoring: the first, tenth, hundredth, … completion without a score for each reason, each step
/// without any score, and slow scoring.
struct ScoringNotes {
  private var counts: [UnscoredReason: Int] = [:]
  private var slowSteps = 0

  /// Minimum seconds of waiting for rewards before a message.
  private static let slow = 5.0

  /// Lines about a step.
  ///
  /// - Parameters:
  ///   - unscored: the step's completions without a score.
  ///   - metrics: the step's metrics.
  mutating func lines(step: Int, _ unscored: UnscoredCount?, _ metrics: [String: Double]) -> [String] {
    var lines: [String] = []
    if let unscored {
      var isNew = false
      for (reason, count) in unscored.counts where count > 0 {
        let before = counts[reason, default: 0]
        counts[reason] = before + count
        if before == 0 || String(before).count < String(before + count).count { isNew = true }
      }
      if unscored.isEverything {
        lines.append("step \(step): \(unscored.text): the step changes nothing")
      } else if isNew {
        lines.append("step \(step): \(unscored.text); since the start: \(total)")
      }
    }
    let (scoring, all) = (metrics["reward/wait"] ?? 0, metrics["step_time"] ?? 0)
    if scoring > Self.slow, 2 * scoring > all {
      slowSteps += 1
      if String(slowSteps - 1).count < String(slowSteps).count || slowSteps == 1 {
        let timeouts = unscored?.counts[.timeout] ?? 0
        lines.append(
          "step \(step): waited for rewards \(FigureText.fixed(scoring, 1)) s of the step's \(FigureText.fixed(all, 1)) s"
            + (timeouts > 0 ? ", timeouts: \(timeouts)" : "")
            + (slowSteps > 1 ? "; \(slowSteps) such steps so far" : ""))
      }
    }
    return lines
  }

  private var total: String {
    UnscoredReason.allCases.compactMap { reason in counts[reason].map { "\($0) \(reason.text)" } }
      .joined(separator: ", ")
  }
}
