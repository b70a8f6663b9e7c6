import Checkpoints
import Configuration
import Files
import Foundation
import MPI

/// Saves a run while it goes on: every rank writes what it owns from a thread of its own, rank 0 publishes the whole.
///
/// Ranks talk in `begin`, `poll`, `waitUntilRead` and `finish` only, which all ranks call at the same places; threads that
/// write never do. At most one checkpoint is under way.
///
/// Threads that write use cores that are idle, and their share of all cores once somebody waits for them. However long a
/// disk takes, no rank waits in a collective for it (see `meet`), so the watchdog does not take it for a hang.
final class CheckpointSaver {
  /// How a checkpoint ended, the same on every rank.
  enum Event {
    /// `remarks`: what became of older checkpoints that could not be removed, a line each.
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
  /// Told on rank 0 now and then, with the seconds so far, while ranks wait for a checkpoint.
  var whileWaiting: (_ step: Int, _ seconds: Double) -> Void = { _, _ in }

  /// - Parameters:
  ///   - directory: of the checkpoints, in the run's; the same on every rank.
  ///   - token: a part of hidden names that nobody can foresee; the same on every rank.
  init(
    directory: String, token: String, settings: CheckpointConfiguration, threads: Int, communicator: Communicator
  ) {
    files = SystemFiles(below: Path(directory).parent.text)
    store = CheckpointStore(path: directory, files: files, token: token)
    self.settings = settings
    self.threads = threads
    self.communicator = communicator
  }

  /// Starts to save; one that is under way is finished before. Collective.
  ///
  /// - Parameters:
  ///   - manifest: everything but files and tensors.
  ///   - copies: whether the state may change as soon as this returns; otherwise `waitUntilRead` tells when.
  ///   - prepare: what rank 0 does first; a failure is the checkpoint's.
  /// - Returns: what became of the one before, and of this one where it could not start.
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
    let own = copies ? TensorPiece.copies(of: held, threads: threads) : held
    let (draft, expertFiles, threads, files) = (store.draft(step: snapshot.step), manifest.expertFiles, threads, files)
    work = SaveWork(pieces: copies ? 0 : own.count) { work in
      let written = try ShardWriter.write(
        own, expertFiles: expertFiles, miniMoEs: miniMoEs, in: draft, threads: threads, files: files,
        spareTime: work.spareTime, taken: { _ in work.take() })
      return .written(written)
    }
    return events
  }

  /// Lets the one under way proceed; never waits for a disk. Collective.
  func poll() throws -> Event? {
    guard let work else { return nil }
    return try communicator.all(work.isDone(within: 0)) ? proceed(work) : nil
  }

  /// Waits for the one under way. Collective.
  func finish() throws -> Event? {
    while let work {
      work.spareTime.hurry()
      try meet { work.isDone(within: $0) }
      if let event = try proceed(work) { return event }
    }
    return nil
  }

  /// Waits until nothing that is being saved is read from any rank's own memory any more. Collective.
  func waitUntilRead() throws(MPIError) {
    guard let work, !(try communicator.all(work.isTaken(within: 0))) else { return }
    work.spareTime.hurry()
    try meet { work.isTaken(within: $0) }
  }

  /// Waits until `isDone` on every rank, for as long as that takes, and meets often meanwhile: no rank is in a collective
  /// for longer than a rank looks at its own work. Collective.
  ///
  /// - Parameter isDone: waits for up to the given seconds; whether this rank is done.
  private func meet(_ isDone: (Double) -> Bool) throws(MPIError) {
    let start = ContinuousClock.now
    var (interval, told) = (0.001, 0.0)
    while true {
      let isOwnDone = isDone(interval)
      if try communicator.all(isOwnDone) { return }
      if isOwnDone { Thread.sleep(forTimeInterval: interval) }
      interval = min(2 * interval, 0.1)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      guard communicator.rank == 0, seconds >= told + 30 else { continue }
      told = seconds
      whileWaiting(manifest?.step ?? 0, seconds)
    }
  }

  /// All ranks' threads are done: goes from writing to publishing, or to the end.
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
      var own = SaveWork.Publication()
      if case .published(let publication) = result { own = publication }
      let publication = try communicator.broadcast(record: own, from: 0)
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
