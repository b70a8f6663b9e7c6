import Errors
import Reports
import Rollouts
import Runs

/// The output of a replay.
struct ReplayText {
  private let recorded: RecordedStep
  private let outcome: StepReplay.Outcome
  private var comparison: StepComparison { outcome.comparison }

  init(_ recorded: RecordedStep, _ outcome: StepReplay.Outcome) {
    self.recorded = recorded
    self.outcome = outcome
  }

  var text: String {
    let layout = recorded.layout.map { ", \(FigureText.count($0.ranks, "rank")), parallel.expert \($0.expert)" } ?? ""
    let origin = outcome.checkpoint.map { "\($0), step \(outcome.start)" } ?? "the run's first weights"
    var text = """
      step   \(recorded.step) of \(recorded.directory.path) (\(recorded.phase.rawValue)\(layout))
      from   \(origin)

      """
    if !comparison.differences.isEmpty {
      var table = Table(["metric", "recorded", "replayed", "relative difference"])
      for difference in comparison.differences {
        table.add([
          difference.name, difference.recorded ?? "", difference.replayed ?? "",
          difference.relative.map { "\(Float($0))" } ?? "",
        ])
      }
      text += "\n\(table.text)\n"
    }
    return text + verdict + "\n"
  }

  private var verdict: String {
    if let failure = outcome.failure { return "the step fails again: \(failure)" }
    let (count, compared) = (comparison.differences.count, comparison.compared)
    if compared == 0 {
      return "nothing to compare: metrics.jsonl has no line for step \(recorded.step) (logging.every is "
        + "\(recorded.configuration.logging.every))"
    }
    if count == 0 { return "same bits: all \(FigureText.count(compared, "metric"))" }
    let largest = comparison.largest.map {
      "\nlargest relative difference: \(Float($0.relative ?? 0)) (\($0.name))"
    }
    let reason =
      recorded.configuration.parallel.reproducible
      ? "though the run is reproducible: the program, data or weights changed, or a reward is not deterministic"
      : "as they may if parallel.reproducible is false and the number of ranks differs"
    return "\(count) of \(FigureText.count(compared, "metric")) differ, \(reason)\(largest ?? "")"
  }

  var json: String {
    func text(_ value: String?) -> JSONValue { value.map(JSONValue.text) ?? .null }
    return JSONValue.object([
      "run": .text(recorded.directory.path), "step": .integer(recorded.step), "phase": .text(recorded.phase.rawValue),
      "ranks": recorded.layout.map { .integer($0.ranks) } ?? .null,
      "expert": recorded.layout.map { .integer($0.expert) } ?? .null,
      "reproducible": .bool(recorded.configuration.parallel.reproducible),
      "checkpoint": text(outcome.checkpoint), "start": .integer(outcome.start),
      "failure": text(outcome.failure.map { "\($0)" }), "compared": .integer(comparison.compared),
      "same_bits": .bool(comparison.isSame),
      "differences": .list(
        comparison.differences.map {
          .object([
            "figure": .text($0.name), "recorded": text($0.recorded), "replayed": text($0.replayed),
            "relative": $0.relative.map { .number($0) } ?? .null,
          ])
        }),
    ]).serialized + "\n"
  }
}
