import Checkpoints
import Learning
import Parameters

/// The state of a run between two steps, as a checkpoint stores it.
struct RunSnapshot {
  /// Optimizer steps done.
  var step: Int
  /// Integers by name (see <doc:Checkpoints>).
  var counters: [String: Int]
  /// Everything that this rank holds.
  var pieces: [TensorPiece]
  /// Every parameter tensor that the checkpoint must contain, from any rank.
  var expected: Set<TensorKey>
}

/// A method of training that can be saved between steps and resumed: `Trainer` and `Pretrainer`.
protocol Resumable: AnyObject {
  var learner: Learner { get }
  /// Optimizer steps done.
  var stepCount: Int { get }
  /// Whether the current step has begun: its rollouts wait for their update.
  var hasUnsavedRollouts: Bool { get }
  /// The method's counters and tensors, in addition to the learner's.
  func methodState() -> MethodState
  /// Restores the method's state after the learner has its masters and moments. Local.
  ///
  /// - Throws: `CheckpointError` if the checkpoint lacks a value that the method needs.
  func resume(from reader: CheckpointReader, threads: Int) throws
  /// Judges the held-out measure of the current weights.
  func judge(_ measure: Double) -> PolicyGuard.Verdict
  /// Goes on from the best weights after their measure has fallen. Collective.
  func returnToBest() throws
  /// The step of the best weights, if the method keeps them; nil without an evaluation.
  var bestStep: Int? { get }
  /// Replaces the current weights by the best ones. Collective.
  func adoptBest() throws
  /// The collective part of resuming, called after all ranks have restored their state. Collective.
  func completeResume() throws
}

/// What a method of training adds to a checkpoint.
struct MethodState {
  var counters: [String: Int] = [:]
  var pieces: [TensorPiece] = []

  /// Stores a real number. Counters are integers, so the bits of the number are stored in two halves.
  mutating func store(_ value: Double, _ name: String) {
    counters["\(name).high"] = Int(value.bitPattern >> 32)
    counters["\(name).low"] = Int(value.bitPattern & 0xFFFF_FFFF)
  }
}

extension RunSnapshot {
  /// The current state of a run.
  init(_ run: some Resumable) {
    let method = run.methodState()
    let learner = run.learner
    step = run.stepCount
    counters = method.counters.merging(["step": run.stepCount, "updates": learner.updates]) { $1 }
    if let average = learner.average { counters["averaged_updates"] = average.count }
    pieces = learner.pieces + learner.averagePieces + method.pieces
    let table = learner.model.table
    expected = Set(table.ids.map { TensorKey(table[$0].name, .master) })
    for id in table.ids where table[id].role != .balanceBias {
      let kinds: [TensorKind] =
        learner.firstMoments.format == .fp32
        ? [.firstMoment, .secondMoment] : [.firstMoment, .firstMomentScales, .secondMoment, .secondMomentScales]
      expected.formUnion(kinds.map { TensorKey(table[id].name, $0) })
    }
    // Packed policies are complete on every rank; rollouts are known only to their owners.
    expected.formUnion(
      method.pieces.map(\.key).filter { [.policy, .policyScales, .reference, .referenceScales].contains($0.kind) })
    // A rank holds only its part of these.
    for kind in [TensorKind.average, .best] where pieces.contains(where: { $0.key.kind == kind }) {
      expected.formUnion(table.ids.map { TensorKey(table[$0].name, kind) })
    }
  }
}
