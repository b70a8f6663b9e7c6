import Checkpoints
import Configuration
import Files
import Foundation
import MPI

/// Saves a run in the background: every rank writes the tensors that it owns on a separate thread, then rank 0
/// publishes the checkpoint.
///
/// Only `begin`, `poll`, `waitUntilRead` and `finish` communicate, and all ranks call them at the same points; writer
/// threads never communicate. At most one save is in progress.
///
/// Writer threads use idle cores, and their share of all cores once a rank waits for them. However slow the disk is, no
/// rank blocks in a collective for it (see `meet`), so the watchdog does not report a hang.
final class CheckpointSaver {
  /// The outcome of a save, the same on every rank.
  enum Event {
    /// `remarks`: older checkpoints that could not be removed, one line each.
    case saved(path: String, step: Int, seconds: Double, remarks: [String])
    case failed(step: Int, problem: String)
  }

  private let store: CheckpointStore
  private let files: any FileLayer
  private let communicator: Communicator
  private let settings: CheckpointConfiguration
  private let threads: Int
  private var work: SaveWork?
  private var isPublishing = false
  private var started = ContinuousClock.now
  private var manifest: Manifest?
  private var expected: Set<TensorKey> = []
  /// Called on rank 0 about every 30 s while ranks wait for a save, with the seconds so far.
  var whileWaiting: (_ step: Int, _ seconds: Double) -> Void = { _, _ in }

  /// - Parameters:
  ///   - directory: the run's directory of checkpoints, the same on every rank.
  ///   - token: an unpredictable part of temporary names, the same on every rank.
  init(
    directory: String, token: String, settings: CheckpointConfiguration, threads: Int, communicator: Communicator
  ) {
    files = SystemFiles(below: Path(directory).parent.text)
    store = CheckpointStore(path: directory, files: files, token: token)
    self.settings = settings
    self.threads = threads
    self.communicator = communicator
  }

  /// Starts a save after finishing any save in progress. Collective.
  ///
  /// - Parameters:
  ///   - manifest: complete except for files and tensors.
  ///   - copies: if true, the state may change as soon as this returns; otherwise only after `waitUntilRead`.
  ///   - prepare: called first, on rank 0; an error fails the save.
  /// - Returns: the outcome of the previous save, and of this one if it could not start.
  func begin(
    _ snapshot: RunSnapshot, _ manifest: Manifest, miniMoEs: Int, copies: Bool,
    prepare: @escaping @Sendable () throws -> Void = {}
  ) throws -> [Event] {
    var events = try finish().map { [$0] } ?? []
    started = .now
    self.manifest = manifest
    expected = snapshot.expected
    let (isFirst, store, step) = (communicator.rank == 0, store, snapshot.step)
    let start = SaveWork(pieces: 0) { _ in
      if isFirst {
        try prepare()
        _ = try store.begin(step: step)
      }
      return .none
    }
    try meet { start.isDone(within: $0) }
    if let problem = try communicator.firstText(start.problem) {
      events.append(.failed(step: snapshot.step, problem: problem))
      return events
    }
    let held = snapshot.pieces.filter {
      Placement.writer(
        $0.key, part: $0.part, ranks: manifest.ranks, expertParallel: manifest.expertParallel, miniMoEs: miniMoEs)
        == communicator.rank
    }
    let pieces = copies ? TensorPiece.copies(of: held, threads: threads) : held
    let (draft, expertFiles, threads, files) = (store.draft(step: snapshot.step), manifest.expertFiles, threads, files)
    work = SaveWork(pieces: copies ? 0 : pieces.count) { work in
      let written = try ShardWriter.write(
        pieces, expertFiles: expertFiles, miniMoEs: miniMoEs, in: draft, threads: threads, files: files,
        spareTime: work.spareTime, taken: { _ in work.noteRead() })
      return .written(written)
    }
    return events
  }

  /// Advances the save in progress; never waits for a disk. Collective.
  func poll() throws -> Event? {
    guard let work else { return nil }
    return try communicator.all(work.isDone(within: 0)) ? proceed(work) : nil
  }

  /// Waits for the save in progress. Collective.
  func finish() throws -> Event? {
    while let work {
      work.spareTime.hurry()
      try meet { work.isDone(within: $0) }
      if let event = try proceed(work) { return event }
    }
    return nil
  }

  /// Waits until the save has read all that it needs from the run's memory on every rank. Collective.
  func waitUntilRead() throws(MPIError) {
    guard let work, !(try communicator.all(work.isRead(within: 0))) else { return }
    work.spareTime.hurry()
    try meet { work.isRead(within: $0) }
  }

  /// Waits, without a limit, until `isDone` on every rank. Ranks synchronize often, so a rank waits in a collective
  /// only while another calls `isDone`. Collective.
  ///
  /// - Parameter isDone: waits for up to the given seconds; returns whether this rank is done.
  private func meet(_ isDone: (Double) -> Bool) throws(MPIError) {
    let start = ContinuousClock.now
    var (interval, told) = (0.001, 0.0)
    while true {
      let isDoneHere = isDone(interval)
      if try communicator.all(isDoneHere) { return }
      if isDoneHere { Thread.sleep(forTimeInterval: interval) }
      interval = min(2 * interval, 0.1)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      guard communicator.rank == 0, seconds >= told + 30 else { continue }
      told = seconds
      whileWaiting(manifest?.step ?? 0, seconds)
    }
  }

  /// Continues once all ranks' threads are done: starts publishing after writing, or reports the outcome.
  private func proceed(_ work: SaveWork) throws -> Event? {
    self.work = nil
    let manifest = self.manifest
    let step = manifest?.step ?? 0
    let result = work.result
    if let problem = try communicator.firstText(work.problem) {
      if communicator.rank == 0 { store.abandon(step: step) }
      isPublishing = false
      return .failed(step: step, problem: problem)
    }
    if isPublishing {
      isPublishing = false
      var local = SaveWork.Publication()
      if case .published(let publication) = result { local = publication }
      let publication = try communicator.broadcast(record: local, from: 0)
      return .saved(
        path: publication.path, step: step, seconds: (ContinuousClock.now - started) / .seconds(1),
        remarks: publication.remarks)
    }
    var shards: [WrittenShard] = []
    if case .written(let written) = result { shards = written }
    let all = try communicator.gather(records: shards, to: 0)
    isPublishing = true
    let (store, settings, expected) = (store, settings, expected)
    self.work = SaveWork(pieces: 0) { _ in
      guard let all, var manifest else { return .none }
      let drafted = store.draft(step: manifest.step)
      try manifest.join(all, expected: expected, path: drafted)
      let path = try store.publish(manifest)
      let pruning = store.prune(keep: settings.keep, milestones: settings.milestones)
      return .published(SaveWork.Publication(path: path, remarks: pruning.remarks))
    }
    return nil
  }
}

extension Communicator {
  /// Whether `flag` is true on every rank. Collective.
  fileprivate func all(_ flag: Bool) throws(MPIError) -> Bool { try allReduce(Int32(flag ? 1 : 0), .minimum) != 0 }
}
