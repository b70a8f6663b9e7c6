import ArgumentParser
import MPI
import Reports
import Runs

/// `quillan evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Evaluate weights on held-out prompts or text.",
    discussion: """
      Prompts are completed greedily, and with --samples also by sampling. The table is followed by a few completions; \
      --output writes all of them. Text is evaluated in bits per byte. The held-out part is the one that pretrain and \
      train exclude.
      """)

  @OptionGroup var configuration: ConfigurationOptions

  @Option(
    help: ArgumentHelp(
      "Weights to evaluate (a run, a checkpoint or safetensors), instead of checkpoint.weights.", valueName: "path"))
  var weights: String?

  @Flag(help: "Evaluate the initial random weights.")
  var untrained = false

  @Option(
    help: ArgumentHelp(
      "Number of held-out prompts, or of windows of held-out text (default: evaluation.count).", valueName: "n"))
  var count: Int?

  @Option(
    help: ArgumentHelp("Sampled completions per prompt (default: evaluation.samples; 0: greedy only).", valueName: "n"))
  var samples: Int?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Write all completions here, one JSON object per line.", valueName: "file"))
  var output: String?

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  @Flag(help: "Print Markdown tables.")
  var markdown = false

  func validate() throws {
    try PathCheck.validate(["--weights": weights])
    if let count, count < 1 { throw ValidationError("--count must be 1 or more, got \(count)") }
    if json, markdown { throw ValidationError("--json and --markdown exclude each other; give one of them") }
    if untrained, weights != nil { throw ValidationError("--untrained and --weights exclude each other; give one") }
    if let samples, samples < 0 { throw ValidationError("--samples must be 0 or more, got \(samples)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      var loaded = try communicator.agree {
        var loaded = try configuration.load()
        if let weights { loaded.checkpoint.weights = weights }
        if untrained { loaded.checkpoint.weights = nil }
        if !untrained, loaded.checkpoint.weights == nil {
          throw CommandError(
            .usage, at: "evaluate", "no weights are given",
            remedy:
              "name a run, a checkpoint or a file with --weights (or checkpoint.weights), or evaluate random weights "
              + "with --untrained")
        }
        return loaded
      }
      if loaded.data.splitVersion == nil {
        loaded.data.splitVersion = try RecordedSplit.version(resuming: nil, loaded, name: "", communicator)
      }
      loaded.precision.bf16Sums = try RecordedSums.order(evaluating: loaded, communicator)
      try Watchdog.start(communicator, timeout: loaded.parallel.timeout)
      let threads = try communicator.threads(configured: loaded.parallel.threads)
      let (assembly, materials) = try communicator.agree {
        let assembly = try RunAssembly(
          loaded, file: configuration.config, threads: threads, communicator: communicator)
        let materials = try assembly.materials(for: .evaluate, weights: nil)
        if let output, materials.text?.heldOut != nil {
          throw CommandError(
            .usage, at: "--output \(output)", "an evaluation of text (data.text) has no completions to write",
            remedy: "omit --output")
        }
        return (assembly, materials)
      }
      if communicator.rank == 0 {
        var effective = loaded
        if let samples { effective.evaluation.samples = samples }
        for warning in effective.warnings(for: .evaluate, overrides: configuration.overrides.set) {
          CommandLog.logger.warning("\(warning)")
        }
      }
      let report = try EvaluationReport(
        assembly, materials, count: count ?? loaded.evaluation.count, samples: samples ?? loaded.evaluation.samples,
        collectsCompletions: output != nil)
      try communicator.agree {
        if communicator.rank == 0 {
          if let output { try AtomicFile.write(report.completions, to: output) }
          try StandardOutput.write(json ? report.json : markdown ? report.markdown : report.text)
        }
      }
      return .done
    }
  }
}
