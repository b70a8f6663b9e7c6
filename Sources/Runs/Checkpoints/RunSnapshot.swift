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
  /// The collective part of resuming, called after all ranks have restored their state. Collective.
  func completeResume() throws
}

/// What a method of training adds to a checkpoint.
struct MethodState {
  var counters: [String: Int] = [:]
  var pieces: [TensorPiece] = []
}

extension RunSnapshot {
  /// The current state of a run.
  init(_ run: some Resumable) {
    let method = run.methodState()
    let learner = run.learner
    step = run.stepCount
    counters = method.counters.merging(["step": run.stepCount, "updates": learner.updates]) { $1 }
    pieces = learner.pieces + method.pieces
    let table = learner.model.table
    expected = Set(table.ids.map { TensorKey(table[$0].name, .master) })
    for id in table.ids where table[id].role != .balanceBias {
      let kinds: [TensorKind] =
        learner.firstMoments.format == .fp32
        ? [.firstMoment, .secondMoment] : [.firstMoment, .firstMomentScales, .secondMoment, .secondMomentScales]
      expected.formUnion(kinds.map { TensorKey(table[id].name, $0) })
    }
    // Packed policies are complete on every rank; rollouts are known only to their owners.
    expected.formUnion(method.pieces.map(\.key).filter { $0.kind != .rollout })
  }
}
