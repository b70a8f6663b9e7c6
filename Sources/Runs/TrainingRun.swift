import Checkpoints
import Configuration
import Foundation
import Learning
import MPI
import Parameters
import Reports
import Rollouts
import Telemetry

/// A whole run of pre-training or reinforcement: steps, records, evaluations, checkpoints, and the weights at the end.
public struct TrainingRun {
  /// What a finished run reports.
  public struct Outcome: Sendable {
    /// The run directory; nil on ranks other than 0.
    public let directory: RunDirectory?
    public let steps: Int
    /// Whether a signal ended it early, with a checkpoint.
    public let stopped: Bool
    public let seconds: Double
    /// Evaluations before the first and after the last step, by name.
    public let before: [String: Double]
    public let after: [String: Double]
    /// Answers after the last step.
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
  /// The command that goes on in a run's directory, said if the run fails behind a checkpoint.
  public var commandToGoOn: ((String) -> String)?
  var communicator: Communicator { assembly.communicator }
  var configuration: RunConfiguration { assembly.configuration }

  /// - Parameters:
  ///   - resume: what to go on from; nil: a new run.
  ///   - trace: the steps to take a trace of; nil: none.
  ///   - acceptsChangedData: whether a run may go on with other data than it had.
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
    let learner = try assembly.learner(materials.masters)
    let trainer = try assembly.trainer(materials, learner)
    let leaving = { configuration.checkpoint.stop == .phase ? try StopSignal.isRequested(communicator) : false }
    return try run(
      trainer, materials.inputs, total: configuration.rl.numEpochs, title: "train",
      evaluate: {
        guard let prompts = materials.prompts, let rewards = materials.rewards else { return ([:], []) }
        return try evaluateTask(prompts, rewards, learner)
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
      trainer, materials.inputs, total: configuration.pretrain.steps, title: "pretrain",
      evaluate: {
        if let text = materials.text { return try text.heldOut.map { try evaluateText($0, learner) } ?? ([:], []) }
        guard let prompts = materials.prompts, let rewards = materials.rewards else { return ([:], []) }
        return try evaluateTask(prompts, rewards, learner)
      }
    ) { recorder, step in
      let (metrics, warning) = try trainer.step()
      try assembly.checks?.stepped(step, learner, loads: RoutingSnapshot(learner.loads))
      try recorder?.record(step: step, metrics, loads: RoutingSnapshot(learner.loads))
      if let warning { recorder?.note(warning) }
      return true
    }
  }

  /// - Parameter step: makes the step of that number; false where it was left before its update.
  private func run(
    _ run: any Resumable, _ inputs: InputDigests, total: Int, title: String,
    evaluate: () throws -> ([String: Double], [CompletionSample]),
    step: (RunRecorder?, Int) throws -> Bool
  ) throws -> Outcome {
    StopSignal.install()
    let start = ContinuousClock.now
    let point = try resumption(title, inputs).flatMap { try $0.resume(resume ?? .auto, name: name, into: run) }
    var owner = self
    // What the run began with stays on record.
    if let point { owner.assembly.configuration.checkpoint.weights = point.weights }
    let recorder = try owner.recorder(
      point, title: title, total: total, parameters: run.learner.model.table.parameterCount)
    defer { recorder?.abandon(removingIfEmpty: point?.directory == nil) }
    let lock = try recorder.map { try point?.lock ?? RunLock($0.directory.path) }
    defer { withExtendedLifetime(lock) {} }
    Watchdog.keepRecords(in: try communicator.broadcast(recorder?.directory.path ?? "", from: 0))
    let tracer = trace.map { RunTrace($0, path: recorder?.directory.trace ?? "", communicator) }
    let debug = assembly.checks
    if let recorder {
      for remark in try debug?.writeRouting(to: recorder.directory.routing, after: point?.step ?? 0) ?? [] {
        recorder.note(remark)
      }
    }
    let saves = try RunCheckpoints(
      owner, run, phase: title, inputs: inputs, directory: recorder?.directory, recorder: recorder)
    var hasFailed = true
    defer {
      run.learner.beforeUpdate = {}
      if hasFailed, let recorder { noteHowToGoOn(recorder) }
    }
    var done = point?.step ?? 0
    var before = recorder?.first ?? [:]
    var after = before
    var examples: [CompletionSample] = []
    var stopped = false
    // Whether a signal cut an evaluation short; the checkpoint then says that the evaluation is due.
    var isCutShort = false
    var cost = EvaluationCost()
    var isFinished = point?.isFinished ?? false
    let goal = title == "train" ? 0 : configuration.pretrain.stopAtExactMatch
    let every = title == "train" ? configuration.evaluation.every : configuration.pretrain.evalEvery
    func hasReachedGoal() -> Bool { goal > 0 && (after["eval/exact_match"] ?? 0) >= goal }
    // Evaluates the weights after `done` steps and records it.
    func assess() throws {
      saves.isEvaluationDue = true
      let began = ContinuousClock.now
      (after, examples) = try evaluate()
      saves.isEvaluationDue = false
      guard done > 0 else {
        (before, examples) = (after, [])
        try recorder?.record(step: 0, evaluation: before)
        return
      }
      let warning = cost.add(
        evaluation: (ContinuousClock.now - began) / .seconds(1),
        every: (title == "train" ? "evaluation.every" : "pretrain.eval_every", every),
        count: configuration.evaluation.count)
      if let warning { recorder?.note(warning) }
      let measure = configuration.evaluation.keepBest ? recorder?.measureOfBest(after) : nil
      if try communicator.broadcast(measure == nil ? 0 : 1, from: 0) != 0 {
        var metadata = metadata(done, title)
        if let measure, let value = after[measure] { metadata["best_\(measure)"] = "\(value)" }
        try WeightsFile.save(run.learner, to: recorder?.directory.best, metadata: metadata)
      }
      try recorder?.record(step: done, evaluation: after, bestBy: measure)
      isFinished = hasReachedGoal()
    }
    do {
      if point?.isEvaluationDue ?? true {
        try assess()
        if point != nil, isFinished || done >= total { try saves.step(isLast: true, isFinished: isFinished) }
      } else if isFinished || done >= total {
        (after, examples) = try evaluate()
        // The goal may be another than it was.
        isFinished = hasReachedGoal()
      }
    } catch is StopSignal.CutShort { (stopped, isCutShort) = (true, true) }
    saves.isFinished = isFinished
    while done < total, !stopped, !isFinished {
      FlightRecorder.step = done + 1
      let began = ContinuousClock.now
      try tracer?.begin(step: done + 1)
      FlightRecorder.begin(ActivityLabel("step", done + 1, isActivity: false))
      let isMade = try step(recorder, done + 1)
      FlightRecorder.end()
      guard isMade else {
        stopped = true
        break
      }
      done += 1
      cost.add(training: (ContinuousClock.now - began) / .seconds(1))
      stopped = try StopSignal.isRequested(communicator)
      if let path = try tracer?.end(step: done, isLast: stopped || done == total) {
        recorder?.note("trace \(path); open it in https://ui.perfetto.dev")
      }
      if let table = debug?.takeGradientTable() { recorder?.note(table) }
      if done == total || (every > 0 && done % every == 0) {
        do { try assess() } catch is StopSignal.CutShort { (stopped, isCutShort) = (true, true) }
      }
      try saves.step(isLast: stopped || isFinished || done == total, isFinished: isFinished)
    }
    stopped = isCutShort || (stopped && !isFinished && done < total)
    let checkpoint = try saves.finish(mustSave: stopped)
    if !stopped {
      try WeightsFile.save(run.learner, to: recorder?.directory.weights, metadata: metadata(done, title))
    }
    if let tracer, !tracer.isTaken { recorder?.note("no trace: the run did not come to the steps that --trace names") }
    if let debug { recorder?.note(debug.summary(of: (ContinuousClock.now - start) / .seconds(1))) }
    try recorder?.finish(stopped ? .stopped : .finished)
    hasFailed = false
    return Outcome(
      directory: recorder?.directory, steps: done, stopped: stopped,
      seconds: (ContinuousClock.now - start) / .seconds(1), before: before, after: after, examples: examples,
      checkpoint: checkpoint)
  }

  /// Says how to go on from the newest checkpoint, if there is one.
  private func noteHowToGoOn(_ recorder: RunRecorder) {
    guard let commandToGoOn, FileManager.default.fileExists(atPath: "\(recorder.directory.checkpoints)/latest") else {
      return
    }
    recorder.note("to go on from the newest checkpoint: \(commandToGoOn(recorder.directory.path))")
  }

  private func metadata(_ steps: Int, _ phase: String) -> [String: String] {
    ["format": "quillan-weights", "version": "1", "steps": "\(steps)", "phase": phase]
  }

  private func resumption(_ phase: String, _ inputs: InputDigests) -> RunResumption? {
    resume == nil
      ? nil
      : RunResumption(
        configuration: configuration, phase: phase, communicator: communicator,
        threads: assembly.context.pool.threads, inputs: inputs, acceptsChangedData: acceptsChangedData)
  }

  /// Rank 0's records: of a new directory, or of the one that is gone on with.
  private func recorder(
    _ point: RunResumption.Point?, title: String, total: Int, parameters: Int
  ) throws -> RunRecorder? {
    guard communicator.rank == 0 else { return nil }
    let session = RunSession.Start(
      phase: title, ranks: communicator.size, threads: assembly.context.pool.threads, parameters: parameters,
      done: point?.step ?? 0, total: total)
    let recorder = try RunRecorder(
      configuration, name: name, title: title, total: total, session: session, panels: Self.panels,
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
    ("Held-out exact match", "share", ["eval/exact_match"]),
    ("Held-out reward", "mean reward", ["eval/reward"]),
    ("Held-out bits per byte", "bits", ["eval/bits_per_byte"]),
    ("Loss", "nats", ["loss", "loss/cross_entropy"]),
    ("Diffusion loss", "nats per bit", ["loss/diffusion"]),
    ("Entropy", "nats", ["entropy"]),
    ("KL to π_old", "nats", ["kl"]),
  ]
}
