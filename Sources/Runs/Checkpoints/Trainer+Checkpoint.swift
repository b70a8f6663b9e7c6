import Checkpoints
import Configuration
import Foundation
import Learning

extension Trainer: Resumable {
  var hasUnsavedRollouts: Bool { collected != nil }

  func methodState() -> MethodState {
    let state = self.state
    var method = MethodState(counters: [
      "next_group": state.nextGroup, "skipped_updates": state.skippedUpdates, "idle_updates": state.idleUpdates,
      "updates_since_publication": state.updatesSincePublication,
      "policy_updates": learner.updates - state.updatesSincePublication,
    ])
    method.store(state.entropyCoef, "entropy_coef")
    if configuration.rl.targetKL > 0 { method.store(state.rateScale, "rate_scale") }
    if let bestPolicy, let best = state.best.best {
      method.store(best, "best.measure")
      method.counters["best.step"] = state.best.step
      method.counters["best.returns"] = state.best.returns
      method.pieces += bestPolicy.masters.pieces(.best)
    }
    if isPolicyStored { method.pieces += PackedPieces.of(oldPolicy, .policy, scales: .policyScales, context) }
    if let reference {
      method.pieces += PackedPieces.of(reference, .reference, scales: .referenceScales, context)
    }
    method.pieces += RolloutPieces.pieces(waiting, collected, rank: communicator.rank)
    if let curriculum {
      method.counters.merge(CurriculumPieces.counters(curriculum)) { $1 }
      method.pieces += CurriculumPieces.pieces(curriculum, rank: communicator.rank)
    }
    method.counters["waiting_updates"] = waiting.count
    return method
  }

  func completeResume() throws {
    // Publishing packs the masters into π_old and resets its age; the checkpoint states its age.
    guard !isPolicyStored || lacksOldPolicy else { return }
    lacksOldPolicy = false
    let saved = state.updatesSincePublication
    try updateOldPolicy()
    updatesSincePublication = saved
  }

  /// The entropy coefficient to resume with: the saved value, clamped to the current limits, if `rl.entropy_target`
  /// moved it and still does; otherwise, or if the configured coefficient has changed, the configured one.
  private func entropyCoefficient(saved: Double, _ reader: CheckpointReader) -> Double {
    let rl = configuration.rl
    let before = try? RunConfiguration.parse(yaml: reader.manifest.configuration, file: reader.path).rl
    guard rl.entropyTarget > 0, let before, before.entropyTarget > 0, saved.isFinite,
      before.objective.entropyCoef == rl.objective.entropyCoef
    else { return rl.objective.entropyCoef }
    // A coefficient that has not moved yet is not limited.
    return saved == rl.objective.entropyCoef ? saved : min(max(0, saved), rl.entropyCoefMax)
  }

  /// Whether π_old differs from the packed masters.
  private var isPolicyStored: Bool { keepsOldPolicy && state.updatesSincePublication > 0 }

  var bestStep: Int? { bestPolicy.flatMap { $0.state.best == nil ? nil : $0.state.step } }

  func resume(from reader: CheckpointReader, threads: Int) throws {
    // An earlier attempt with a damaged checkpoint may have left rollouts on this rank, and π_old on some ranks only.
    (waiting, collected) = ([], nil)
    forgetOldPolicy()
    var state = TrainerState()
    state.steps = try reader.stepCounter()
    state.nextGroup = try reader.counter("next_group")
    state.skippedUpdates = try reader.counter("skipped_updates")
    // Older checkpoints lack this counter.
    state.idleUpdates = reader.manifest.counters["idle_updates"] ?? 0
    state.updatesSincePublication = try reader.counter("updates_since_publication")
    let saved = try reader.real("entropy_coef", in: 0...Double.greatestFiniteMagnitude)
    // Older checkpoints, and those of a run without `rl.target_kl`, lack this number.
    if reader.manifest.counters["rate_scale.high"] != nil { state.rateScale = try reader.real("rate_scale", in: 0...1) }
    if let bestPolicy, reader.manifest.counters["best.step"] != nil {
      state.best.best = try reader.real(
        "best.measure", in: -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude)
      state.best.step = try reader.counter("best.step")
      state.best.returns = try reader.counter("best.returns")
      try reader.read(bestPolicy.masters.pieces(.best), threads: threads)
    }
    state.entropyCoef = entropyCoefficient(saved: saved, reader)
    guard state.updatesSincePublication <= learner.updates else {
      throw reader.fault(
        "updates_since_publication is \(state.updatesSincePublication), but the run made \(learner.updates) updates")
    }
    self.state = state
    // With an interval of 1, π_old was published after every update and not stored.
    lacksOldPolicy =
      try RunConfiguration.parse(yaml: reader.manifest.configuration, file: reader.path)
      .rl.oldPolicyInterval == 1
    if isPolicyStored, !lacksOldPolicy {
      try PackedPieces.read(oldPolicy, .policy, scales: .policyScales, from: reader, context)
    }
    if let curriculum { try CurriculumPieces.restore(curriculum, from: reader) }
    if let reference {
      try PackedPieces.read(reference, .reference, scales: .referenceScales, from: reader, context)
    }
    (waiting, collected) = try RolloutPieces.read(
      reader, updates: reader.counter("waiting_updates"), names: source.rewardNames, model: learner.model,
      rank: communicator.rank, ranks: communicator.size, divide: division(of:))
  }
}

extension Pretrainer: Resumable {
  var hasUnsavedRollouts: Bool { false }

  func completeResume() {}

  func judge(_ measure: Double) -> PolicyGuard.Verdict { .within }
  func returnToBest() {}
  var bestStep: Int? { nil }
  func adoptBest() {}

  func methodState() -> MethodState { MethodState(counters: ["skipped_updates": learner.skippedUpdates]) }

  func resume(from reader: CheckpointReader, threads: Int) throws {
    resume(steps: try reader.stepCounter(), skipped: try reader.counter("skipped_updates"))
  }
}
