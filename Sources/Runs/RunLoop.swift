import Checks
import Configuration
import Errors
import Learning
import MPI
import Reports
import Telemetry

/// The steps of a run with its evaluations and checkpoints, from the start or a checkpoint to the end or a stop.
///
/// All ranks have one and call its methods in the same order; only rank 0 has a recorder.
final class RunLoop {
  /// Values of an evaluation by name, and some completions.
  typealias Evaluation = (values: [String: Double], examples: [CompletionSample])

  private let run: any Resumable
  private let phase: RunPhase
  private let configuration: RunConfiguration
  private let communicator: Communicator
  private let total: Int
  private let recorder: RunRecorder?
  private let saves: RunCheckpoints
  private let tracer: RunTrace?
  private let checks: DebugChecks?
  private let evaluate: () throws -> Evaluation
  /// Makes the step of a number; false if it was left before its update.
  private let step: (RunRecorder?, Int) throws -> Bool

  /// Optimizer steps done.
  private(set) var done: Int
  /// Evaluations before the first and after the last step.
  private(set) var before: [String: Double]
  private(set) var after: [String: Double]
  private(set) var examples: [CompletionSample] = []
  /// Whether a goal is reached, or was before the run was resumed.
  private(set) var isFinished: Bool
  private var isStopped = false
  /// Whether a signal cut an evaluation short; the checkpoint then says that the evaluation is due.
  private var isCutShort = false
  private var cost = EvaluationCost()

  init(
    _ owner: TrainingRun, _ run: any Resumable, phase: RunPhase, total: Int, point: RunResumption.Point?,
    recorder: RunRecorder?, saves: RunCheckpoints, tracer: RunTrace?, evaluate: @escaping () throws -> Evaluation,
    step: @escaping (RunRecorder?, Int) throws -> Bool
  ) {
    self.run = run
    self.phase = phase
    self.total = total
    self.recorder = recorder
    self.saves = saves
    self.tracer = tracer
    self.evaluate = evaluate
    self.step = step
    configuration = owner.configuration
    communicator = owner.communicator
    checks = owner.assembly.checks
    done = point?.step ?? 0
    isFinished = point?.isFinished ?? false
    before = recorder?.first ?? [:]
    after = before
  }

  /// Whether a signal ended the run before its end.
  var endedEarly: Bool { isCutShort || (isStopped && !isFinished && done < total) }

  /// The key and value that say after how many steps an evaluation is due; 0: only after the last.
  private var interval: (key: String, value: Int) {
    phase == .train
      ? ("evaluation.every", configuration.evaluation.every) : ("pretrain.eval_every", configuration.pretrain.evalEvery)
  }

  /// Whether the last evaluation reached a goal of the run. During warm-up, weights that always give the most frequent
  /// answer can reach one.
  private var hasReachedGoal: Bool {
    if phase == .train {
      guard let goal = configuration.rl.stopAt, done >= configuration.rl.warmupSteps,
        let name = BestEvaluation(configuration).measure(of: after), let value = after[name]
      else { return false }
      return value >= goal
    }
    let pretrain = configuration.pretrain
    let goals = [("eval/exact_match", pretrain.stopAtExactMatch), ("eval/reward", pretrain.stopAtReward)]
    return phase == .pretrain && done >= pretrain.warmupSteps
      && goals.contains { name, goal in goal > 0 && (after[name] ?? 0) >= goal }
  }

  /// Makes all steps. Collective.
  ///
  /// - Parameter point: where the run was resumed; nil: a new run.
  func execute(from point: RunResumption.Point?) throws {
    do { try evaluateAtStart(point) } catch is StopSignal.CutShort { cutShort() }
    saves.isFinished = isFinished
    while done < total, !isStopped, !isFinished {
      guard try makeStep() else {
        isStopped = true
        break
      }
      isStopped = try StopSignal.isRequested(communicator)
      if let path = try tracer?.end(step: done, isLast: isStopped || done == total) {
        recorder?.note("trace \(path); open it in https://ui.perfetto.dev")
      }
      if let table = checks?.takeGradientTable() { recorder?.note(table) }
      if done == total || (interval.value > 0 && done % interval.value == 0) {
        do { try assess() } catch is StopSignal.CutShort { cutShort() }
      }
      try saves.step(isLast: isStopped || isFinished || done == total, isFinished: isFinished)
    }
  }

  private func cutShort() { (isStopped, isCutShort) = (true, true) }

  /// Evaluates a new run, or a resumed one whose evaluation was cut short or that has no step left.
  private func evaluateAtStart(_ point: RunResumption.Point?) throws {
    if point?.isEvaluationDue ?? true {
      try assess()
      if point != nil, isFinished || done >= total { try saves.step(isLast: true, isFinished: isFinished) }
    } else if isFinished || done >= total {
      (after, examples) = try run.learner.withAveragedWeights(evaluate)
      // Goal and patience may have changed since the checkpoint.
      isFinished = try hasReachedGoal || hasStoppedGaining()
    }
  }

  /// Makes the next step; false if it was left before its update.
  private func makeStep() throws -> Bool {
    FlightRecorder.step = done + 1
    let start = ContinuousClock.now
    try tracer?.begin(step: done + 1)
    FlightRecorder.begin(ActivityLabel("step", done + 1, isActivity: false))
    let isMade = try step(recorder, done + 1)
    FlightRecorder.end()
    guard isMade else { return false }
    done += 1
    cost.add(training: (ContinuousClock.now - start) / .seconds(1))
    return true
  }

  /// Evaluates the weights after `done` steps and records the result; keeps the best weights.
  private func assess() throws {
    saves.isEvaluationDue = true
    let start = ContinuousClock.now
    var (verdict, measure) = (PolicyGuard.Verdict.within, String?.none)
    try run.learner.withAveragedWeights {
      (after, examples) = try evaluate()
      saves.isEvaluationDue = false
      verdict = judge()
      if done > 0 { measure = try saveIfBest() }
    }
    guard done > 0 else {
      (before, examples) = (after, [])
      try recorder?.record(step: 0, evaluation: before)
      return
    }
    let warning = cost.add(
      evaluation: (ContinuousClock.now - start) / .seconds(1), every: interval, count: configuration.evaluation.count)
    if let warning { recorder?.note(warning) }
    try recorder?.record(step: done, evaluation: after, bestBy: measure)
    if verdict == .fallen, let step = run.bestStep {
      try run.returnToBest()
      recorder?.note(
        "step \(done): the held-out measure fell by more than rl.guard \(configuration.rl.guardFall): back to the "
          + "weights of step \(step), with half the learning rate")
    }
    isFinished = try hasReachedGoal || hasStoppedGaining()
  }

  /// Writes the current weights to best.safetensors if the last evaluation is the best so far. Collective.
  ///
  /// - Returns: the metric by which it is, on rank 0.
  private func saveIfBest() throws -> String? {
    let measure = configuration.evaluation.keepBest ? recorder?.measureOfBest(after) : nil
    guard try communicator.broadcast(measure == nil ? 0 : 1, from: 0) != 0 else { return nil }
    var metadata = weightsMetadata
    if let measure, let value = after[measure] { metadata["best_\(measure)"] = "\(value)" }
    try WeightsFile.save(run.learner, to: recorder?.directory.best, metadata: metadata)
    return measure
  }

  /// Judges the last evaluation by the metric that the best weights follow.
  private func judge() -> PolicyGuard.Verdict {
    let name = BestEvaluation(configuration).measure(of: after)
    guard let name, !BestEvaluation.isLoss(name), let value = after[name] else { return .within }
    return run.judge(value)
  }

  /// Whether reinforcement has gone `evaluation.patience` evaluations without a new best. Collective.
  private func hasStoppedGaining() throws -> Bool {
    let patience = configuration.evaluation.patience
    guard phase == .train, patience > 0 else { return false }
    let since = try communicator.broadcast(recorder?.evaluationsSinceBest ?? 0, from: 0)
    guard since >= patience else { return false }
    recorder?.note(
      "step \(done): the last \(FigureText.count(since, "evaluation")) brought no new best value, so the run ends "
        + "(evaluation.patience \(patience))")
    return true
  }

  /// Replaces the weights by the best ones at the end of the run, if the method keeps them. Collective.
  func adoptBest() throws {
    guard let step = run.bestStep, step < done else { return }
    let name = BestEvaluation(configuration).measure(of: after)
    let last = name.flatMap { after[$0] }
    try run.adoptBest()
    (after, examples) = try evaluate()
    done = step
    guard let name, let last, let best = after[name] else { return }
    recorder?.note(
      "weights.safetensors has the weights of step \(step): \(name) \(FigureText.fixed(best, 4)), "
        + "\(FigureText.fixed(last, 4)) after the last step")
  }

  /// The metadata of a weights file of now.
  var weightsMetadata: [String: String] {
    ["format": "quillan-weights", "version": "1", "steps": "\(done)", "phase": phase.rawValue]
  }
}
