import ArgumentParser
import Configuration
import Exports
import Files
import Formats
import MPI
import Reports
import Runs

/// The options and the course of `pretrain` and `train`.
struct RunOptions: ParsableArguments {
  @OptionGroup var configuration: ConfigurationOptions

  @Option(
    help: ArgumentHelp(
      "Start from these weights (a run, a checkpoint or safetensors), instead of checkpoint.weights.",
      valueName: "path"))
  var weights: String?

  @Option(
    help: ArgumentHelp(
      "Name of the run's directory under logging.directory (default: the configuration's name and the command).",
      valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "Resume from a checkpoint: auto (the newest whole checkpoint of the run with this name; without one, a new run), "
        + "or the path of a checkpoint or run directory.", valueName: "auto|path"))
  var resume: String?

  @Flag(help: "Resume even if prompts, text, trajectories or tokenizer differ from those of the checkpoint.")
  var acceptChangedData = false

  @Option(
    help: ArgumentHelp(
      "Skip up to n updates whose loss or gradient is not finite (debug.skip_nonfinite).", valueName: "n"))
  var skipNonfinite: Int?

  @Flag(help: "Debug mode: check collectives, values and replicas, and write the routing (debug.checks).")
  var debug = false

  @Option(
    help: ArgumentHelp(
      "Write a trace of these steps, with all ranks on one time line, to trace.json in the run's directory (Perfetto).",
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
    if acceptChangedData, resume == nil {
      throw ValidationError("--accept-changed-data goes with --resume; give both or neither")
    }
    if let skipNonfinite, skipNonfinite < 0 {
      throw ValidationError("--skip-nonfinite must be 0 or more, got \(skipNonfinite)")
    }
  }

  /// Loads everything on every rank, runs `body`, and prints its outcome on rank 0.
  func execute(
    _ phase: RunPhase, change: @escaping (inout RunConfiguration) -> Void = { _ in },
    _ body: @escaping (TrainingRun, RunAssembly.Materials) throws -> TrainingRun.Outcome
  ) {
    CommandRunner.onRanks { communicator in
      var loaded = try communicator.agree {
        var result = try configuration.load()
        if let skipNonfinite { result.debug.skipNonfinite = skipNonfinite }
        if debug { result.debug.checks = true }
        // The initial weights belong in the run's config.yaml.
        if let weights { result.checkpoint.weights = weights }
        change(&result)
        return result
      }
      try Watchdog.start(communicator, timeout: loaded.parallel.timeout)
      CollectiveCheck.isOn = loaded.debug.checks
      let threads = try communicator.threads(configured: loaded.parallel.threads)
      try communicator.together { try RunMemory.check(loaded, promptLength: 1, phase: phase, communicator) }
      let runName = name ?? "\(stem)-\(phase.rawValue)"
      try communicator.agree {
        guard let problem = RunName.problem(runName) else { return }
        throw CommandError(
          .usage,
          "'\(SafetensorsError.printable(runName))', the run's name derived from the configuration's file, \(problem)",
          remedy: "give a name with --name")
      }
      let choice = resume.map(ResumeChoice.init)
      let resumes = try choice?.leads(loaded, name: runName, communicator) ?? false
      if loaded.data.splitVersion == nil {
        loaded.data.splitVersion =
          try RecordedSplit.version(resuming: choice, loaded, name: runName, communicator) ?? loaded.data.split
      }
      loaded.precision.bf16Sums = try RecordedSums.order(
        resuming: choice, loaded, name: runName, communicator)
      let (assembly, materials) = try communicator.agree {
        let assembly = try RunAssembly(
          loaded, file: configuration.config, threads: threads, communicator: communicator)
        return (assembly, try assembly.materials(for: phase, weights: nil, blank: resumes))
      }
      try communicator.together { try assembly.checkMemory(phase, materials) }
      let continuation = Continuation(ranks: communicator.size)
      var run = TrainingRun(
        assembly, name: runName, resume: choice, trace: trace.flatMap(RunTrace.Request.init),
        acceptsChangedData: acceptChangedData
      ) { directory in
        CommandLog.logger.info("run \(directory.path)")
        let settings = loaded.warnings(for: phase, overrides: configuration.overrides.set)
        for warning in settings + materials.warnings { CommandLog.logger.warning("\(warning)") }
        CommandLog.logger.info(
          """
          \(phase.rawValue): \(assembly.model.table.parameterCount) parameters, \(assembly.layout), \
          threads a rank: \(threads)
          """)
      }
      run.commandToGoOn = { continuation.resuming($0) }
      return try communicator.together {
        let outcome = try body(run, materials)
        try communicator.agree {
          if communicator.rank == 0 { try StandardOutput.write(OutcomeText.text(phase, outcome, continuation)) }
        }
        return outcome.stopped ? .stopped : .done
      }
    }
  }

  /// The configuration's file name without .yaml.
  private var stem: String {
    let file = Path(configuration.config).name
    return file.hasSuffix(".yaml") ? String(file.dropLast(5)) : file
  }
}
