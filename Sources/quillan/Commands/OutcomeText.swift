import Configuration
import Errors
import Reports
import Runs

/// The last lines that a run prints.
enum OutcomeText {
  static func text(_ phase: RunPhase, _ outcome: TrainingRun.Outcome, _ continuation: Continuation) -> String {
    var lines: [String] = []
    if !outcome.examples.isEmpty {
      var table = Table(["prompt", "completion", "answer", "reward"], alignments: [.left, .left, .left, .right])
      for example in outcome.examples.prefix(6) {
        table.add([
          example.prompt, example.completion, example.answer ?? "",
          example.reward.isFinite ? FigureText.fixed(example.reward, 3) : "unscored",
        ])
      }
      lines += ["sample completions", table.text(width: StandardOutput.width)]
    }
    var table = Table(["held out", "before", "after"])
    for name in outcome.after.keys.sorted() {
      table.add([
        String(name.dropFirst("eval/".count)), outcome.before[name].map { FigureText.fixed($0, 4) } ?? "",
        FigureText.fixed(outcome.after[name] ?? .nan, 4),
      ])
    }
    lines.append(table.text)
    let verb = outcome.stopped ? "stopped by a signal after" : "finished"
    lines.append(
      "\(phase.rawValue) \(verb) \(FigureText.count(outcome.steps, "step")) in \(FigureText.duration(outcome.seconds))")
    if let directory = outcome.directory {
      if !outcome.stopped { lines.append("weights  \(directory.weights)") }
      if let checkpoint = outcome.checkpoint { lines.append("saved    \(checkpoint)") }
      lines += ["metrics  \(directory.metrics)", "plot     \(directory.plot)"]
      lines += ending(phase, outcome, directory.path, continuation)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Suggested commands.
  private static func ending(
    _ phase: RunPhase, _ outcome: TrainingRun.Outcome, _ directory: String, _ continuation: Continuation
  ) -> [String] {
    if outcome.stopped { return ["go on    \(continuation.resuming(directory))"] }
    var lines = ["ask      \(continuation.asking(directory))"]
    if phase == .pretrain { lines.append("train    \(continuation.training(directory))") }
    if outcome.checkpoint != nil, outcome.steps > 0 {
      let key = phase == .train ? "rl.num_epochs" : "pretrain.steps"
      lines.append("go on    \(continuation.resuming(directory, ["--set", "\(key)=\(2 * outcome.steps)"]))")
    }
    return lines
  }
}
