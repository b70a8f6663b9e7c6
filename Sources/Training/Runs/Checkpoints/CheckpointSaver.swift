import Checkpoints
import Files
import Foundation
import MPI

/// Saves a run while it goes on: every rank writes what it owns from a thread of its own, rank 0 publishes the whole.
///
/// Ranks talk in `begin`, `poll` and `finish` only, which all ranks call at the same places between steps; threads that
/// write never do. At most one checkpoint is under way.
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
  /// - Returns: what became of the one before, and of this one where it could not start.
  func begin(_ snapshot: RunSnapshot, _ manifest: Manifest, miniMoEs: Int, copies: Bool) throws -> [Event] {
    var events = try finish().map { [$0] } ?? []
    started = .now
    self.manifest = manifest
    expected = snapshot.expected
    var problem = ""
    if communicator.rank == 0 {
      do { _ = try store.begin(step: snapshot.step) } catch { problem = "\(error)" }
    }
    if let problem = try communicator.firstText(problem) {
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
        taken: { _ in work.take() })
      return Manifest.text(of: written)
    }
    return events
  }

  /// Lets the one under way proceed; never waits for a disk. Collective.
  func poll() throws -> Event? {
    guard let work else { return nil }
    let isDone = try communicator.allReduce(Int32(work.isDone ? 1 : 0), .minimum) != 0
    return isDone ? try proceed(work) : nil
  }

  /// Waits for the one under way. Collective.
  func finish() throws -> Event? {
    while let work {
      work.wait()
      if let event = try proceed(work) { return event }
    }
    return nil
  }

  /// Waits until nothing that is being saved is read from the run's own memory any more. Local.
  func waitUntilRead() { work?.waitUntilTaken() }

  /// All ranks' threads are done: goes from writing to publishing, or to the end.
  private func proceed(_ work: SaveWork) throws -> Event? {
    self.work = nil
    let manifest = self.manifest
    let step = manifest?.step ?? 0
    var text: [UInt8] = []
    var problem = ""
    switch work.result {
    case .success(let result): text = result
    case .failure(let error): problem = "\(error)"
    }
    if let problem = try communicator.firstText(problem) {
      if communicator.rank == 0 { store.abandon(step: step) }
      isPublishing = false
      return .failed(step: step, problem: problem)
    }
    if isPublishing {
      isPublishing = false
      let lines = String(decoding: try communicator.broadcast(text, from: 0), as: UTF8.self).split(separator: "\0")
      return .saved(
        path: lines.first.map(String.init) ?? "", step: step, seconds: (ContinuousClock.now - started) / .seconds(1),
        remarks: lines.dropFirst().map(String.init))
    }
    let parts = try communicator.gatherv(text, to: 0)
    isPublishing = true
    let (store, settings, expected) = (store, settings, expected)
    self.work = SaveWork(pieces: 0) { _ in
      guard let parts, var manifest else { return [] }
      let written = try parts.flatMap { try Manifest.written(from: $0) }
      let drafted = store.draft(step: manifest.step)
      try manifest.join(written, expected: expected, path: drafted)
      let path = try store.publish(manifest)
      let pruning = store.prune(keep: settings.keep, milestones: settings.milestones)
      // No path holds a NUL.
      return Array(([path] + pruning.remarks).joined(separator: "\0").utf8)
    }
    return nil
  }
}

/// Work on a thread of its own.
private final class SaveWork: @unchecked Sendable {
  private let condition = NSCondition()
  /// Linux's SCHED_IDLE, which its headers show to GNU programs only.
  private static let idlePolicy: Int32 = 5
  private var pending: Int
  private var outcome: Result<[UInt8], any Error>?

  /// - Parameter pieces: how many pieces of the run's own memory will be read.
  init(pieces: Int, _ body: @escaping @Sendable (SaveWork) throws -> [UInt8]) {
    pending = pieces
    let thread = Thread { [self] in
      // This thread and those that it starts take what training leaves of the cores; whoever waits for it leaves all.
      var parameters = sched_param()
      sched_setscheduler(0, Self.idlePolicy, &parameters)
      let outcome = Result { try body(self) }
      condition.lock()
      self.outcome = outcome
      condition.broadcast()
      condition.unlock()
    }
    thread.stackSize = 4 << 20
    thread.start()
  }

  func take() {
    condition.lock()
    pending -= 1
    if pending == 0 { condition.broadcast() }
    condition.unlock()
  }

  var isDone: Bool {
    condition.lock()
    defer { condition.unlock() }
    return outcome != nil
  }

  func wait() {
    condition.lock()
    while outcome == nil { condition.wait() }
    condition.unlock()
  }

  func waitUntilTaken() {
    condition.lock()
    while pending > 0, outcome == nil { condition.wait() }
    condition.unlock()
  }

  /// What the work gave; it must be done.
  var result: Result<[UInt8], any Error> {
    condition.lock()
    defer { condition.unlock() }
    guard let outcome else { preconditionFailure("the result of work that goes on") }
    return outcome
  }
}

extension Communicator {
  /// The text of the lowest rank whose text is not empty; nil where all are. Collective.
  func firstText(_ text: String) throws(MPIError) -> String? {
    let speaker = try allReduce(text.isEmpty ? size : rank, .minimum)
    guard speaker < size else { return nil }
    let words = speaker == 0 || size == 1 ? text : "rank \(rank): \(text)"
    return String(decoding: try broadcast(Array(words.utf8), from: speaker), as: UTF8.self)
  }
}
