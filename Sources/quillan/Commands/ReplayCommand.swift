import ArgumentParser
import Formats
import Rollouts
import Training

/// `quillan debug replay`: makes a step of a recorded run again and looks into it.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Make a step of a recorded run again, on one process, and compare its figures with those on record.",
    discussion: """
      Starts from the newest checkpoint before the step, on whatever ranks the run was, and reads the run's directory \
      only. Exit code 0 where all figures of the step's line in metrics.jsonl are the same bits, 1 where one differs or \
      there is no line. Without parallel.reproducible, bits may differ on another number of ranks.
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @Option(help: ArgumentHelp("The step, as metrics.jsonl numbers them: from 1.", valueName: "n"))
  var step: Int

  @Option(
    help: ArgumentHelp(
      "Write a table of the step's tokens: log-probability at rollout and now, ratio, advantage, entropy, mini-MoEs; - is "
        + "stdout, cut to the terminal's width. With --json one object a line.", valueName: "file"))
  var tokens: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Write the tensors whose names match, such as 'gradients.layers.0.*', 'weights.*' or 'activations.*.hidden', to "
        + "--output. Repeatable.", valueName: "pattern"))
  var tensors: [String] = []

  @Option(name: .shortAndLong, help: ArgumentHelp("The file of --tensors (safetensors).", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Start from this checkpoint instead.", valueName: "path"))
  var checkpoint: String?

  @Option(help: ArgumentHelp("Threads (default: the machine's cores); they change no bit.", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  @OptionGroup var overrides: OverrideOptions

  func validate() throws {
    try PathCheck.validate([
      "the run's path": directory, "--tokens": tokens, "--output": output, "--checkpoint": checkpoint,
    ])
    if replacing.force, output == nil, tokens == nil {
      throw ValidationError("--force goes with --output or --tokens")
    }
    if step < 1 { throw ValidationError("--step must be 1 or more, got \(step)") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, got \(threads)") }
    if tensors.isEmpty != (output == nil) { throw ValidationError("give --tensors PATTERN and --output FILE together") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      guard communicator.size == 1 else {
        throw CommandError(.usage, "debug replay runs on one process: start it without mpirun")
      }
      try replacing.check(output)
      try replacing.check(tokens == "-" ? nil : tokens)
      let recorded = try RecordedStep(directory, step: step, checkpoint: checkpoint, overrides: overrides.set)
      for problem in recorded.problems { CommandLog.logger.warning("\(problem)") }
      var options = StepReplay.Options()
      options.tokens = tokens != nil
      options.tensors = tensors
      let bar = ProgressBar("replay")
      let outcome = try StepReplay(
        recorded, threads: try communicator.threads(configured: threads ?? 0), communicator: communicator
      ).execute(options, note: { CommandLog.logger.warning("\($0)") }, progress: { bar.show($0, of: $1) })
      bar.finish()
      if let output {
        try SafetensorsWriter.write(
          path: output, tensors: outcome.tensors, metadata: ["format": "quillan-replay", "step": "\(step)"],
          policy: replacing.policy)
      }
      if let tokens {
        let table = TokenTable(outcome.tokens)
        if tokens == "-" {
          try StandardOutput.write(json ? table.jsonLines : "\(table.text(width: StandardOutput.width))\n")
        } else {
          try AtomicFile.write(json ? table.jsonLines : table.text, to: tokens, policy: replacing.policy)
        }
      }
      let report = ReplayText(recorded, outcome)
      try StandardOutput.write(json ? report.json : report.text)
      return outcome.comparison.isSame ? .done : .failed
    }
  }
}

/// What a replay prints.
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
      var table = Table(["figure", "recorded", "replayed", "relative difference"])
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
      return "nothing to compare: metrics.jsonl has no line of step \(recorded.step) (logging.every is "
        + "\(recorded.configuration.logging.every))"
    }
    if count == 0 { return "same bits: all \(compared) figures" }
    let largest = comparison.largest.map {
      "\nlargest relative difference: \(Float($0.relative ?? 0)) (\($0.name))"
    }
    let reason =
      recorded.configuration.parallel.reproducible
      ? "though the run is reproducible: another program, other data or weights, or a reward that does not repeat"
      : "as they may where parallel.reproducible is false and the ranks are others"
    return "\(count) of \(FigureText.count(compared, "figure")) differ, \(reason)\(largest ?? "")"
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
