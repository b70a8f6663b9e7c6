import Checkpoints
import Foundation

extension Trainer: Resumable {
  var hasUnsavedRollouts: Bool { collected != nil }

  func methodState() -> MethodState {
    let state = self.state
    var method = MethodState(counters: [
      "next_group": state.nextGroup, "skipped_updates": state.skippedUpdates,
      "updates_since_publication": state.updatesSincePublication,
      "policy_updates": learner.updates - state.updatesSincePublication,
    ])
    // Numbers of a manifest are whole: the bits of this one in two halves.
    let bits = state.entropyCoef.bitPattern
    method.counters["entropy_coef.high"] = Int(bits >> 32)
    method.counters["entropy_coef.low"] = Int(bits & 0xFFFF_FFFF)
    if isPolicyStored { method.pieces += PackedPieces.of(oldPolicy, .policy, scales: .policyScales, context) }
    if let reference {
      method.pieces += PackedPieces.of(reference, .reference, scales: .referenceScales, context)
    }
    method.pieces += RolloutPieces.pieces(waiting, collected, rank: communicator.rank)
    method.counters["waiting_updates"] = waiting.count
    return method
  }

  func completeResume() throws {
    // Publishing makes π_old of the masters; how old it counts as is the checkpoint's to say.
    guard !isPolicyStored else { return }
    let saved = state.updatesSincePublication
    try updateOldPolicy()
    countUpdatesSincePublication(saved)
  }

  /// The entropy coefficient to go on with: where `rl.entropy_target` has moved it, within the limits of now; as configured
  /// where nothing moves it, or moved it before, and where the configured one has changed.
  private func entropyCoefficient(saved: Double, _ reader: CheckpointReader) -> Double {
    let rl = configuration.rl
    let before = try? RunConfiguration.parse(yaml: reader.manifest.configuration, file: reader.path).rl
    guard rl.entropyTarget > 0, let before, before.entropyTarget > 0, saved.isFinite,
      before.objective.entropyCoef == rl.objective.entropyCoef
    else { return rl.objective.entropyCoef }
    // Before its first move it is as configured, whatever the limits.
    return saved == rl.objective.entropyCoef ? saved : min(max(0, saved), rl.entropyCoefMax)
  }

  /// Whether π_old is other than the packing of the masters.
  private var isPolicyStored: Bool { keepsOldPolicy && state.updatesSincePublication > 0 }

  func resume(from reader: CheckpointReader, threads: Int) throws {
    var state = TrainerState()
    state.steps = try reader.counter("step")
    state.nextGroup = try reader.counter("next_group")
    state.skippedUpdates = try reader.counter("skipped_updates")
    state.updatesSincePublication = try reader.counter("updates_since_publication")
    let (high, low) = (try reader.counter("entropy_coef.high"), try reader.counter("entropy_coef.low"))
    state.entropyCoef = entropyCoefficient(
      saved: Double(bitPattern: UInt64(truncatingIfNeeded: high) << 32 | UInt64(low & 0xFFFF_FFFF)), reader)
    self.state = state
    if isPolicyStored {
      try PackedPieces.read(oldPolicy, .policy, scales: .policyScales, from: reader, context)
    }
    if let reference {
      try PackedPieces.read(reference, .reference, scales: .referenceScales, from: reader, context)
    }
    (waiting, collected) = try RolloutPieces.read(
      reader, updates: reader.counter("waiting_updates"), names: source.rewardNames, rank: communicator.rank,
      ranks: communicator.size)
  }
}

extension Pretrainer: Resumable {
  var hasUnsavedRollouts: Bool { false }

  func completeResume() {}

  func methodState() -> MethodState { MethodState(counters: ["skipped_updates": skipped]) }

  func resume(from reader: CheckpointReader, threads: Int) throws {
    resume(steps: try reader.counter("step"), skipped: try reader.counter("skipped_updates"))
  }
}
