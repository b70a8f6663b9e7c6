import Checkpoints
import Learning
import Parameters

/// A run between two steps, as a checkpoint holds it.
struct RunSnapshot {
  /// Optimizer steps done.
  var step: Int
  /// Whole numbers by name (see <doc:Checkpoints>).
  var counters: [String: Int]
  /// Everything that this rank holds.
  var pieces: [TensorPiece]
  /// Every parameter tensor that the checkpoint must have, whatever rank writes it.
  var expected: Set<TensorKey>
}

/// A method of training that can be saved between steps and gone on with: `Trainer` and `Pretrainer`.
protocol Resumable: AnyObject {
  var learner: Learner { get }
  /// Optimizer steps done.
  var stepCount: Int { get }
  /// Whether the step under way has begun: its rollouts wait for their update.
  var hasUnsavedRollouts: Bool { get }
  /// The method's own numbers and tensors, beside those of the learner.
  func methodState() -> MethodState
  /// Goes on from a state, once the learner has its masters and moments. Local.
  ///
  /// - Throws: `CheckpointError` where the checkpoint does not have what the method needs.
  func resume(from reader: CheckpointReader, threads: Int) throws
  /// What ranks must do together after all of them have resumed. Collective.
  func completeResume() throws
}

/// What a method of training adds to a checkpoint.
struct MethodState {
  var counters: [String: Int] = [:]
  var pieces: [TensorPiece] = []
}

extension RunSnapshot {
  /// The state of a run now.
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
    // Packed policies are whole on every rank; rollouts only their owners know.
    expected.formUnion(method.pieces.map(\.key).filter { $0.kind != .rollout })
  }
}
