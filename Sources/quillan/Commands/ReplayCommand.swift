import ArgumentParser
import Formats
import Rollouts
import Exports
import Reports
import Runs

/// `quillan debug replay`: repeats a step of a recorded run and inspects it.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Repeat a step of a recorded run on one process, and compare its metrics with the recorded ones.",
    discussion: """
      Starts from the newest checkpoint before the step, whatever the layout of the run was, and only reads the run's \
      directory. Exit code 0 if all metrics in the step's line of metrics.jsonl are bit-identical, 1 if one differs or \
      the line is missing. Without parallel.reproducible, bits may differ on another number of ranks.
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @Option(help: ArgumentHelp("The step, numbered from 1 as in metrics.jsonl.", valueName: "n"))
  var step: Int

  @Option(
    help: ArgumentHelp(
      "Write a table of the step's tokens: log-probability at rollout and now, ratio, advantage, entropy, mini-MoEs; - "
        + "is stdout, truncated to the terminal's width. With --json, write one object per line.", valueName: "file"))
  var tokens: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Write the tensors whose names match, such as 'gradients.layers.0.*', 'weights.*' or 'activations.*.hidden', to "
        + "--output. Repeatable.", valueName: "pattern"))
  var tensors: [String] = []

  @Option(name: .shortAndLong, help: ArgumentHelp("The safetensors file for --tensors.", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Start from this checkpoint instead of the newest one.", valueName: "path"))
  var checkpoint: String?

  @Option(help: ArgumentHelp("Threads (default: all cores); they do not change results.", valueName: "n"))
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
        throw CommandError(.usage, "debug replay runs on a single process", remedy: "start it without mpirun")
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
