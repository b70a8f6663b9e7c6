import Checkpoints
import Configuration
import Errors
import Files
import Learning
import MPI
import Reports
import Telemetry

/// When a run saves, and what becomes of it: the policy above `CheckpointSaver`. All ranks hold one.
final class RunCheckpoints {
  private let run: any Resumable
  private let configuration: RunConfiguration
  private let phase: String
  private let communicator: Communicator
  private let recorder: RunRecorder?
  private let saver: CheckpointSaver
  private let miniMoEs: Int
  private let inputs: InputDigests
  /// The step of the last checkpoint that was begun.
  private var lastStep = -1
  /// The last checkpoint that was saved.
  private var lastPath: String?
  /// Whether that is the last one that was begun, and otherwise why not.
  private var isLastSaved = false
  private var lastProblem = ""
  /// Whether the run has come to its end, and whether the weights as they are have yet to be evaluated, which a run
  /// that goes on then does first: what the next checkpoint says.
  var isFinished = false
  var isEvaluationDue = false
  /// Remarks that have been said; the same obstacle is met at every save.
  private var said: Set<String> = []

  /// Collective.
  ///
  /// - Parameter directory: the run directory, on rank 0.
  init(
    _ owner: TrainingRun, _ run: any Resumable, phase: String, inputs: InputDigests, directory: RunDirectory?,
    recorder: RunRecorder?
  ) throws {
    self.run = run
    self.inputs = inputs
    self.phase = phase
    self.recorder = recorder
    configuration = owner.configuration
    communicator = owner.communicator
    miniMoEs = configuration.model.numMiniMoes
    let path = try communicator.broadcast(directory?.checkpoints ?? "", from: 0)
    let token = try communicator.broadcast(RandomName.make(), from: 0)
    saver = CheckpointSaver(
      directory: path, token: token,
      settings: configuration.checkpoint, threads: owner.assembly.context.pool.threads, communicator: communicator)
    if !configuration.checkpoint.copy {
      let saver = saver
      run.learner.beforeUpdate = { () throws(MPIError) in try saver.waitUntilRead() }
    }
    saver.whileWaiting = { step, seconds in
      recorder?.note("the checkpoint of step \(step) is still being written (waited for it for \(Int(seconds)) s)")
    }
  }

  /// After each step: lets a save proceed, and begins one where it is due. Collective.
  ///
  /// - Parameter isLast: whether the run ends here.
  func step(isLast: Bool, isFinished: Bool) throws {
    self.isFinished = isFinished
    FlightRecorder.begin(ActivityLabel("checkpoint"))
    defer { FlightRecorder.end() }
    try note(saver.poll())
    let every = configuration.checkpoint.every
    let isDue = every > 0 && (run.stepCount.isMultiple(of: every) || isLast)
    if isDue { try begin() }
  }

  /// Waits for the save under way; where the run is stopped, saves what has not been saved. Collective.
  ///
  /// - Returns: the path of the last checkpoint.
  /// - Throws: `TrainingError` where a stopped run could not be saved.
  func finish(mustSave: Bool) throws -> String? {
    FlightRecorder.begin(ActivityLabel("checkpoint"))
    defer { FlightRecorder.end() }
    try note(saver.finish())
    guard mustSave, lastStep != run.stepCount || run.hasUnsavedRollouts || !isLastSaved else { return lastPath }
    try begin()
    try note(saver.finish())
    guard isLastSaved else {
      throw TrainingError(
        .failure, isAgreed: true,
        "step \(run.stepCount): the run was stopped, but its last steps could not be saved: \(lastProblem); "
          + "--resume auto goes on from \(lastPath ?? "the checkpoint before, if there is one")")
    }
    return lastPath
  }

  private func begin() throws {
    // Before another save starts: a failure may be the end of the run.
    try note(saver.finish())
    let topology = run.learner.topology
    let (ranks, parallel) = (communicator.size, topology.ownership.size)
    var snapshot = RunSnapshot(run)
    snapshot.counters.merge(inputs.counters) { own, _ in own }
    if isFinished { snapshot.counters["finished"] = 1 }
    if isEvaluationDue { snapshot.counters["evaluation_due"] = 1 }
    if let health = recorder?.health { snapshot.pieces.append(HealthState.piece(health, rank: communicator.rank)) }
    let manifest = Manifest(
      program: ProgramVersion.text, phase: phase, step: snapshot.step, ranks: ranks, expertParallel: parallel,
      expertFiles: Placement.expertFiles(ranks: ranks, expertParallel: parallel, miniMoEs: miniMoEs),
      counters: snapshot.counters, configuration: configuration.yaml())
    lastStep = snapshot.step
    isLastSaved = false
    // This thread writes no record while the other one syncs them.
    nonisolated(unsafe) let recorder = recorder
    let events = try saver.begin(
      snapshot, manifest, miniMoEs: miniMoEs, copies: configuration.checkpoint.copy,
      prepare: { try recorder?.synchronize() })
    for event in events { try note(event) }
  }

  /// Says what became of a save.
  private func note(_ event: CheckpointSaver.Event?) throws {
    switch event {
    case nil: return
    case .saved(let path, let step, let seconds, let remarks):
      (lastPath, isLastSaved) = (path, step == lastStep)
      for remark in remarks where said.insert(remark).inserted { recorder?.note(remark) }
      recorder?.note("checkpoint \(path) of step \(step), saved in \(FigureText.fixed(seconds, 1)) s")
    case .failed(let step, let problem):
      let line = "the checkpoint of step \(step) was not saved: \(problem)"
      guard configuration.checkpoint.onError == .continue else {
        throw TrainingError(.failure, isAgreed: true, "\(line) (checkpoint.on_error: stop)")
      }
      lastProblem = problem
      recorder?.note(line)
    }
  }
}
