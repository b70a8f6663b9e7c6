import ArgumentParser
import Exports
import Files
import MPI
import Training

/// What `pretrain` and `train` have in common.
struct RunOptions: ParsableArguments {
  @OptionGroup var configuration: ConfigurationOptions

  @Option(
    help: ArgumentHelp(
      "Start from these weights (safetensors, or a checkpoint) instead of checkpoint.weights.", valueName: "file"))
  var weights: String?

  @Option(
    help: ArgumentHelp(
      "Name of the run's directory under logging.directory (default: the configuration's name and the command).",
      valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "Go on from a checkpoint: auto (the newest whole one of the run of this name, or a new run), or the path of a "
        + "checkpoint or of a run's directory.", valueName: "auto|path"))
  var resume: String?

  @Option(help: ArgumentHelp("Leave out up to n updates whose loss or gradient is not finite.", valueName: "n"))
  var skipNonfinite: Int?

  @Flag(help: "Debug mode: check collectives, values and replicas, and write the routing; debug.checks.")
  var debug = false

  @Option(
    help: ArgumentHelp(
      "Write a trace of these steps, all ranks on one time line, as trace.json in the run's directory (Perfetto).",
      valueName: "steps=first-last"))
  var trace: String?

  func validate() throws {
    try PathCheck.validate(["--weights": weights, "--resume": resume])
    if let name, let problem = RunName.problem(name) {
      throw ValidationError("--name '\(SafetensorsError.printable(name))' \(problem); \(RunName.remedy)")
    }
    if let trace, RunTrace.Request(trace) == nil {
      throw ValidationError(
        "--trace must be steps=FIRST-LAST with steps from 1, for example steps=10-12; got '\(trace)'")
    }
    if let skipNonfinite, skipNonfinite < 0 {
      throw ValidationError("--skip-nonfinite must be 0 or more, got \(skipNonfinite)")
    }
  }

  /// Loads everything on every rank, runs `body`, and prints its outcome on rank 0.
  func execute(
    _ phase: RunAssembly.Phase, change: @escaping (inout RunConfiguration) -> Void = { _ in },
    _ body: @escaping (TrainingRun, RunAssembly.Materials) throws -> TrainingRun.Outcome
  ) {
    CommandRunner.onRanks { communicator in
      let loaded = try communicator.agree {
        var result = try configuration.load()
        if let skipNonfinite { result.debug.skipNonfinite = skipNonfinite }
        if debug { result.debug.checks = true }
        // What a run started from belongs into its config.yaml.
        if let weights { result.checkpoint.weights = weights }
        change(&result)
        return result
      }
      try Watchdog.start(communicator, timeout: loaded.parallel.timeout)
      CollectiveCheck.isOn = loaded.debug.checks
      let threads = try communicator.threads(configured: loaded.parallel.threads)
      let runName = name ?? "\(stem)-\(phase.rawValue)"
      try communicator.agree {
        guard let problem = RunName.problem(runName) else { return }
        throw CommandError(
          .usage,
          "'\(SafetensorsError.printable(runName))', the run's name by the configuration's file, \(problem); "
            + "give a name with --name")
      }
      let choice = resume.map(ResumeChoice.init)
      let resumes = try choice?.leads(loaded, name: runName, communicator) ?? false
      let (assembly, materials) = try communicator.agree {
        let assembly = try RunAssembly(
          loaded, file: configuration.config, threads: threads, communicator: communicator)
        return (assembly, try assembly.materials(for: phase, weights: nil, blank: resumes))
      }
      if communicator.rank == 0 {
        for warning in loaded.warnings { CommandLog.logger.warning("\(warning)") }
        CommandLog.logger.info(
          "\(phase.rawValue): \(assembly.model.table.parameterCount) parameters, \(assembly.layout), threads a rank: \(threads)"
        )
      }
      let run = TrainingRun(assembly, name: runName, resume: choice, trace: trace.flatMap(RunTrace.Request.init))
      do {
        let outcome = try body(run, materials)
        try communicator.agree {
          if communicator.rank == 0 { try StandardOutput.write(OutcomeText.text(phase, outcome)) }
        }
        return outcome.stopped ? .stopped : .done
      } catch let error as TrainingError where error.isAgreed {
        throw AgreedError(status: ExitStatus(error), spoken: communicator.rank == 0 ? error : nil)
      }
    }
  }

  /// The configuration's file name without its ending.
  private var stem: String {
    let file = Path(configuration.config).name
    return file.hasSuffix(".yaml") ? String(file.dropLast(5)) : file
  }
}

/// The closing words of a run.
enum OutcomeText {
  /// A cell of a table: line breaks as ⏎.
  private static func oneLine(_ text: String) -> String {
    text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: "⏎")
  }

  static func text(_ phase: RunAssembly.Phase, _ outcome: TrainingRun.Outcome) -> String {
    var lines: [String] = []
    if !outcome.examples.isEmpty {
      var table = Table(["prompt", "completion", "answer", "reward"], alignments: [.left, .left, .left, .right])
      for example in outcome.examples.prefix(6) {
        table.add([
          oneLine(example.prompt), oneLine(example.completion), oneLine(example.answer ?? ""),
          FigureText.fixed(example.reward, 3),
        ])
      }
      lines += ["sample completions", table.text]
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
      "\(phase.rawValue) \(verb) \(outcome.steps) steps in \(FigureText.duration(outcome.seconds))")
    if let directory = outcome.directory {
      if !outcome.stopped { lines.append("weights  \(directory.weights)") }
      if let checkpoint = outcome.checkpoint { lines.append("saved    \(checkpoint)") }
      lines += ["metrics  \(directory.metrics)", "plot     \(directory.plot)"]
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
