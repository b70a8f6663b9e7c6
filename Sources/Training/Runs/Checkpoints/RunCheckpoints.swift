import Checkpoints
import Files
import MPI

/// When a run saves, and what becomes of it: the policy above `CheckpointSaver`. All ranks hold one.
final class RunCheckpoints {
  private let run: any Resumable
  private let configuration: RunConfiguration
  private let phase: String
  private let communicator: Communicator
  private let recorder: RunRecorder?
  private let saver: CheckpointSaver
  private let miniMoEs: Int
  /// The step of the last checkpoint that was begun.
  private var lastStep = -1
  private var lastPath: String?
  private var isFinished = false
  /// Remarks that have been said; the same obstacle is met at every save.
  private var said: Set<String> = []

  /// Collective.
  ///
  /// - Parameter directory: the run directory, on rank 0.
  init(
    _ owner: TrainingRun, _ run: any Resumable, phase: String, directory: RunDirectory?, recorder: RunRecorder?
  ) throws {
    self.run = run
    self.phase = phase
    self.recorder = recorder
    configuration = owner.configuration
    communicator = owner.communicator
    miniMoEs = configuration.model.numMiniMoes
    let path = try communicator.broadcast(Array((directory?.checkpoints ?? "").utf8), from: 0)
    let token = try communicator.broadcast(Array(RandomName.make().utf8), from: 0)
    saver = CheckpointSaver(
      directory: String(decoding: path, as: UTF8.self), token: String(decoding: token, as: UTF8.self),
      settings: configuration.checkpoint, threads: owner.assembly.context.pool.threads, communicator: communicator)
    if !configuration.checkpoint.copy {
      let saver = saver
      run.learner.beforeUpdate = { saver.waitUntilRead() }
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
    if mustSave, lastStep != run.stepCount || run.hasUnsavedRollouts || lastPath == nil {
      try begin()
      guard try note(saver.finish()) else {
        throw TrainingError(
          .failure, isAgreed: true, "step \(run.stepCount): the run was stopped and its last steps are not saved")
      }
    }
    return lastPath
  }

  private func begin() throws {
    // Before another save starts: a failure may be the end of the run.
    try note(saver.finish())
    try recorder?.synchronize()
    let topology = run.learner.topology
    let (ranks, parallel) = (communicator.size, topology.ownership.size)
    var snapshot = RunSnapshot(run)
    if isFinished { snapshot.counters["finished"] = 1 }
    let manifest = Manifest(
      program: ProgramVersion.text, phase: phase, step: snapshot.step, ranks: ranks, expertParallel: parallel,
      expertFiles: Placement.expertFiles(ranks: ranks, expertParallel: parallel, miniMoEs: miniMoEs),
      counters: snapshot.counters, configuration: configuration.yaml())
    lastStep = snapshot.step
    lastPath = nil
    for event in try saver.begin(snapshot, manifest, miniMoEs: miniMoEs, copies: configuration.checkpoint.copy) {
      try note(event)
    }
  }

  /// Says what became of a save; false where it failed.
  @discardableResult
  private func note(_ event: CheckpointSaver.Event?) throws -> Bool {
    switch event {
    case nil: return true
    case .saved(let path, let step, let seconds, let remarks):
      lastPath = path
      for remark in remarks where said.insert(remark).inserted { recorder?.note(remark) }
      recorder?.note("checkpoint \(path) of step \(step), saved in \(FigureText.fixed(seconds, 1)) s")
      return true
    case .failed(let step, let problem):
      let line = "the checkpoint of step \(step) was not saved: \(problem)"
      guard configuration.checkpoint.onError == .continue else {
        throw TrainingError(.failure, isAgreed: true, "\(line) (checkpoint.on_error: stop)")
      }
      recorder?.note(line)
      return false
    }
  }
}
