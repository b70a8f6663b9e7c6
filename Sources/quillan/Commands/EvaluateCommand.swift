import ArgumentParser
import MPI
import Training

/// `quillan evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure weights on held-out prompts or text.",
    discussion: """
      Prompts are answered greedily, and sampled where samples are asked for; text is measured in bits per byte. The \
      held-out part is the one that pretrain and train leave out.
      """)

  @OptionGroup var configuration: ConfigurationOptions

  @Option(
    help: ArgumentHelp("Weights (safetensors, or a checkpoint) instead of checkpoint.weights.", valueName: "file"))
  var weights: String?

  @Option(help: ArgumentHelp("Held-out prompts (default: evaluation.count).", valueName: "n"))
  var count: Int?

  @Option(
    help: ArgumentHelp("Sampled completions per prompt (default: evaluation.samples; 0: greedy only).", valueName: "n"))
  var samples: Int?

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  @Flag(help: "Print Markdown tables.")
  var markdown = false

  func validate() throws {
    try PathCheck.validate(["--weights": weights])
    if let count, count < 1 { throw ValidationError("--count must be 1 or more, got \(count)") }
    if json, markdown { throw ValidationError("--json and --markdown exclude each other; give one of them") }
    if let samples, samples < 0 { throw ValidationError("--samples must be 0 or more, got \(samples)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let loaded = try communicator.agree { try configuration.load() }
      try Watchdog.start(communicator, timeout: loaded.parallel.timeout)
      let threads = try communicator.threads(configured: loaded.parallel.threads)
      let (assembly, materials) = try communicator.agree {
        let assembly = try RunAssembly(
          loaded, file: configuration.config, threads: threads, communicator: communicator)
        return (assembly, try assembly.materials(for: .evaluate, weights: weights))
      }
      let report = try EvaluationReport(
        assembly, materials, count: count ?? loaded.evaluation.count, samples: samples ?? loaded.evaluation.samples)
      try communicator.agree {
        if communicator.rank == 0 {
          try StandardOutput.write(json ? report.json : markdown ? report.markdown : report.text)
        }
      }
      return .done
    }
  }
}
