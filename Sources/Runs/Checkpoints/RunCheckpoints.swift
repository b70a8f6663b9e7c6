import Checkpoints
import Configuration
import Errors
import Files
import Learning
import MPI
import Reports
import Telemetry

/// Decides when a run saves and handles the outcome, above `CheckpointSaver`. Every rank holds an instance.
final class RunCheckpoints {
  private let run: any Resumable
  private let configuration: RunConfiguration
  private let phase: String
  private let communicator: Communicator
  private let recorder: RunRecorder?
  private let saver: CheckpointSaver
  private let miniMoEs: Int
  private let inputs: InputDigests
  /// The step of the last save that was started.
  private var lastStep = -1
  /// The path of the last checkpoint that was saved.
  private var lastPath: String?
  /// Whether the last save that was started succeeded; `lastProblem` says why not.
  private var isLastSaved = false
  private var lastProblem = ""
  /// Recorded in the next checkpoint: whether the run has finished, and whether a resumed run must first evaluate the
  /// current weights.
  var isFinished = false
  var isEvaluationDue = false
  /// Remarks logged so far: every save repeats them.
  private var notedRemarks: Set<String> = []

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
      recorder?.note("the checkpoint of step \(step) is still being written (\(Int(seconds)) s so far)")
    }
  }

  /// Called after each step: advances the save in progress, and starts a save if one is due. Collective.
  ///
  /// - Parameter isLast: whether the run ends after this step.
  func step(isLast: Bool, isFinished: Bool) throws {
    self.isFinished = isFinished
    FlightRecorder.begin(ActivityLabel("checkpoint"))
    defer { FlightRecorder.end() }
    try note(saver.poll())
    let every = configuration.checkpoint.every
    let isDue = every > 0 && (run.stepCount.isMultiple(of: every) || isLast)
    if isDue { try begin() }
  }

  /// Waits for the save in progress; if `mustSave`, saves unsaved progress too. Collective.
  ///
  /// - Returns: the path of the last checkpoint.
  /// - Throws: `TrainingError` if `mustSave` and the save failed.
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
          + "--resume auto resumes from \(lastPath ?? "the previous checkpoint, if any")")
    }
    return lastPath
  }

  private func begin() throws {
    // Before another save starts, because a failed save may end the run.
    try note(saver.finish())
    let topology = run.learner.topology
    let (ranks, parallel) = (communicator.size, topology.ownership.size)
    var snapshot = RunSnapshot(run)
    snapshot.counters.merge(inputs.counters) { current, _ in current }
    if isFinished { snapshot.counters["finished"] = 1 }
    if isEvaluationDue { snapshot.counters["evaluation_due"] = 1 }
    if let health = recorder?.health { snapshot.pieces.append(HealthState.piece(health, rank: communicator.rank)) }
    let manifest = Manifest(
      program: ProgramVersion.text, phase: phase, step: snapshot.step, ranks: ranks, expertParallel: parallel,
      expertFiles: Placement.expertFiles(ranks: ranks, expertParallel: parallel, miniMoEs: miniMoEs),
      counters: snapshot.counters, configuration: configuration.yaml())
    lastStep = snapshot.step
    isLastSaved = false
    // This thread writes no record while the saving thread syncs them.
    nonisolated(unsafe) let recorder = recorder
    let events = try saver.begin(
      snapshot, manifest, miniMoEs: miniMoEs, copies: configuration.checkpoint.copy,
      prepare: { try recorder?.synchronize() })
    for event in events { try note(event) }
  }

  /// Records the outcome of a save.
  private func note(_ event: CheckpointSaver.Event?) throws {
    switch event {
    case nil: return
    case .saved(let path, let step, let seconds, let remarks):
      (lastPath, isLastSaved) = (path, step == lastStep)
      for remark in remarks where notedRemarks.insert(remark).inserted { recorder?.note(remark) }
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
