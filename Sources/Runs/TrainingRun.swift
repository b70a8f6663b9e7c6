import Checkpoints
import Configuration
import Foundation
import Learning
import MPI
import Parameters
import Reports
import Rollouts
import Telemetry

/// A complete run of pre-training or reinforcement: steps, records, evaluations, checkpoints, and the final weights.
public struct TrainingRun {
  /// What a finished run reports.
  public struct Outcome: Sendable {
    /// The run directory; nil on ranks other than 0.
    public let directory: RunDirectory?
    public let steps: Int
    /// Whether a signal ended the run early, with a checkpoint.
    public let stopped: Bool
    public let seconds: Double
    /// Evaluations before the first and after the last step, by name.
    public let before: [String: Double]
    public let after: [String: Double]
    /// Completions after the last step.
    public let examples: [CompletionSample]
    /// The last checkpoint.
    public let checkpoint: String?
  }

  private(set) var assembly: RunAssembly
  let name: String
  let resume: ResumeChoice?
  let trace: RunTrace.Request?
  let acceptsChangedData: Bool
  let opening: (RunDirectory) -> Void
  /// The command that resumes a run in its directory; shown if the run fails after a checkpoint.
  public var commandToGoOn: ((String) -> String)?
  var communicator: Communicator { assembly.communicator }
  var configuration: RunConfiguration { assembly.configuration }

  /// - Parameters:
  ///   - resume: what to resume from; nil: a new run.
  ///   - trace: the steps to trace; nil: none.
  ///   - acceptsChangedData: whether a run may resume with other data than before.
  ///   - opening: called on rank 0 as soon as the run has its directory.
  public init(
    _ assembly: RunAssembly, name: String, resume: ResumeChoice? = nil, trace: RunTrace.Request? = nil,
    acceptsChangedData: Bool = false, opening: @escaping (RunDirectory) -> Void = { _ in }
  ) {
    self.acceptsChangedData = acceptsChangedData
    self.opening = opening
    self.trace = trace
    self.assembly = assembly
    self.name = name
    self.resume = resume
  }

  /// Reinforcement: `rl.num_epochs` steps of GRPO. Collective.
  public func train(_ materials: RunAssembly.Materials) throws -> Outcome {
    let learner = try assembly.learner(materials.masters, averageDecay: configuration.rl.emaDecay)
    let trainer = try assembly.trainer(materials, learner)
    let leaving = { configuration.checkpoint.stop == .phase ? try StopSignal.isRequested(communicator) : false }
    return try run(
      trainer, materials.inputs, total: configuration.rl.numEpochs, phase: .train,
      evaluate: {
        guard let rewards = materials.evaluationRewards else { return ([:], []) }
        return try evaluate(materials.evaluated, rewards, learner)
      }
    ) { recorder, step in
      guard let report = try trainer.step(leaving: leaving) else { return false }
      try assembly.checks?.stepped(step, learner, loads: report.loads)
      try recorder?.record(step: step, report.metrics, prompts: report.prompts, loads: report.loads)
      try recorder?.record(step: step, samples: report.samples)
      recorder?.record(step: step, unscored: report.unscored, report.metrics)
      if let warning = report.warning, report.unscored?.isEverything != true { recorder?.note(warning) }
      return true
    }
  }

  /// Pre-training: `pretrain.steps` steps on text or demonstrations. Collective.
  public func pretrain(_ materials: RunAssembly.Materials) throws -> Outcome {
    let learner = try assembly.learner(materials.masters)
    let trainer = assembly.pretrainer(materials, learner)
    return try run(
      trainer, materials.inputs, total: configuration.pretrain.steps, phase: .pretrain,
      evaluate: {
        if let text = materials.text { return try text.heldOut.map { try evaluateText($0, learner) } ?? ([:], []) }
        guard let rewards = materials.evaluationRewards else { return ([:], []) }
        return try evaluate(materials.evaluated, rewards, learner)
      }
    ) { recorder, step in
      let (metrics, warning) = try trainer.step()
      try assembly.checks?.stepped(step, learner, loads: RoutingSnapshot(learner.loads))
      try recorder?.record(step: step, metrics, loads: RoutingSnapshot(learner.loads))
      if let warning { recorder?.note(warning) }
      return true
    }
  }

  /// - Parameter step: makes the step of that number; false if it was left before its update.
  private func run(
    _ run: any Resumable, _ inputs: InputDigests, total: Int, phase: RunPhase,
    evaluate: @escaping () throws -> RunLoop.Evaluation, step: @escaping (RunRecorder?, Int) throws -> Bool
  ) throws -> Outcome {
    StopSignal.install()
    let start = ContinuousClock.now
    let point = try resumption(phase, inputs).flatMap { try $0.resume(resume ?? .auto, name: name, into: run) }
    configuration.precision.bf16Sums.select()
    var owner = self
    // config.yaml keeps the weights that the run began with.
    if let point { owner.assembly.configuration.checkpoint.weights = point.weights }
    let recorder = try owner.recorder(
      point, phase: phase, total: total, parameters: run.learner.model.table.parameterCount)
    defer { recorder?.abandon(removingIfEmpty: point?.directory == nil) }
    let lock = try recorder.map { try point?.lock ?? RunLock($0.directory.path) }
    defer { withExtendedLifetime(lock) {} }
    Watchdog.keepRecords(in: try communicator.broadcast(recorder?.directory.path ?? "", from: 0))
    if let recorder {
      let remarks = try assembly.checks?.writeRouting(to: recorder.directory.routing, after: point?.step ?? 0)
      for remark in remarks ?? [] { recorder.note(remark) }
    }
    let saves = try RunCheckpoints(
      owner, run, phase: phase.rawValue, inputs: inputs, directory: recorder?.directory, recorder: recorder)
    var hasFailed = true
    defer {
      run.learner.beforeUpdate = {}
      if hasFailed, let recorder { noteHowToGoOn(recorder) }
    }
    let tracer = trace.map { RunTrace($0, path: recorder?.directory.trace ?? "", communicator) }
    let loop = RunLoop(
      owner, run, phase: phase, total: total, point: point, recorder: recorder, saves: saves, tracer: tracer,
      evaluate: evaluate, step: step)
    try loop.execute(from: point)
    let stopped = loop.endedEarly
    let checkpoint = try saves.finish(mustSave: stopped)
    let steps = loop.done
    if !stopped {
      try loop.adoptBest()
      try run.learner.withAveragedWeights {
        try WeightsFile.save(run.learner, to: recorder?.directory.weights, metadata: loop.weightsMetadata)
      }
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    if let tracer, !tracer.isTaken { recorder?.note("no trace: the run did not reach the steps that --trace names") }
    if let checks = assembly.checks { recorder?.note(checks.summary(of: seconds)) }
    try recorder?.finish(stopped ? .stopped : .finished)
    hasFailed = false
    return Outcome(
      directory: recorder?.directory, steps: steps, stopped: stopped, seconds: seconds, before: loop.before,
      after: loop.after, examples: loop.examples, checkpoint: checkpoint)
  }

  /// Notes the command that resumes from the newest checkpoint, if there is one.
  private func noteHowToGoOn(_ recorder: RunRecorder) {
    guard let commandToGoOn, FileManager.default.fileExists(atPath: "\(recorder.directory.checkpoints)/latest") else {
      return
    }
    recorder.note("to resume from the newest checkpoint: \(commandToGoOn(recorder.directory.path))")
  }

  private func resumption(_ phase: RunPhase, _ inputs: InputDigests) -> RunResumption? {
    resume == nil
      ? nil
      : RunResumption(
        configuration: configuration, phase: phase.rawValue, communicator: communicator,
        threads: assembly.context.pool.threads, inputs: inputs, acceptsChangedData: acceptsChangedData)
  }

  /// Rank 0's records, in a new directory or in the directory of the resumed run.
  private func recorder(
    _ point: RunResumption.Point?, phase: RunPhase, total: Int, parameters: Int
  ) throws -> RunRecorder? {
    guard communicator.rank == 0 else { return nil }
    let session = RunSession.Start(
      phase: phase.rawValue, ranks: communicator.size, threads: assembly.context.pool.threads, parameters: parameters,
      done: point?.step ?? 0, total: total)
    if let program = configuration.logging.command.first, MetricsCommand.path(of: program) == nil {
      throw TrainingError(
        .configuration,
        "\(assembly.file): logging.command: the program '\(program)' was not found; give a path, or a name on PATH, as the "
          + "first word of the command")
    }
    let recorder = try RunRecorder(
      configuration, name: name, title: phase.rawValue, total: total, session: session, panels: Self.panels,
      resuming: point?.directory, after: point?.step, health: point?.health)
    opening(recorder.directory)
    if let remark = point?.lock?.remark { recorder.note(remark) }
    for damaged in point?.skipped ?? [] { recorder.note("skipped a damaged checkpoint: \(damaged.problem)") }
    if let point {
      recorder.note("resumed from \(point.checkpoint), step \(point.step)")
      for change in point.changes { recorder.note("changed since the checkpoint: \(change)") }
      if let directory = point.directory {
        let names = try CheckpointStore(path: directory.checkpoints).setAside(
          after: point.step, leaving: point.skipped.map(\.path))
        for name in names { recorder.note("\(name) is of a later step; kept as abandoned-\(name)") }
      }
    } else if resume != nil {
      recorder.note("no checkpoint to resume from: a new run")
    }
    return recorder
  }

  private static let panels: [(title: String, label: String, metrics: [String])] = [
    ("Reward", "mean reward", ["reward"]),
    ("Held-out pass rate", "share", ["eval/pass_rate"]),
    ("Held-out exact match", "share", ["eval/exact_match"]),
    ("Held-out reward", "mean reward", ["eval/reward"]),
    ("Held-out bits per byte", "bits", ["eval/bits_per_byte"]),
    ("Loss", "nats", ["loss", "loss/cross_entropy"]),
    ("Diffusion loss", "nats per bit", ["loss/diffusion"]),
    ("Entropy", "nats", ["entropy"]),
    ("KL to π_old", "nats", ["kl"]),
  ]
}
