internal import CMPI
import Glibc
import Synchronization

/// Watches the ranks of this machine, so that one that is killed ends all of them soon, in one line that names it.
///
/// Blocked in a collective, a rank cannot notice by itself that another is gone; mpirun does, but names it in a
/// paragraph and kills the rest. So a thread of every rank looks after the others' processes a few times a second. When
/// one is gone, the lowest rank left says so, and all leave with exit code 137. SIGTERM, by which mpirun ends ranks, is
/// held back until the thread has looked. Ranks that leave in good order, or with an error of their own, say so first
/// on a page of memory that all share.
public enum RankWatch {
  /// One rank of this machine.
  private struct Neighbour: Sendable {
    let rank: Int
    let process: pid_t
  }

  private struct Board: @unchecked Sendable {
    let neighbours: [Neighbour]
    let own: Int
    /// A byte for each neighbour: 1 once it leaves in good order. One more: whether a death has been reported.
    let leaving: UnsafeMutablePointer<UInt8>
  }

  private static let board = Mutex<Board?>(nil)
  private static let terminated = Atomic(false)
  private static let patience: useconds_t = 50_000

  /// Starts to watch. Collective.
  public static func start(_ world: Communicator) throws(MPIError) {
    let machine = try world.splitByMachine()
    guard machine.size > 1, let page = try sharedPage(machine) else { return }
    let ranks = try machine.allGather(world.rank)
    let processes = try machine.allGather(Int32(getpid()))
    let board = Board(
      neighbours: zip(ranks, processes).map { Neighbour(rank: $0, process: $1) }, own: machine.rank, leaving: page)
    // Where processes cannot see each other (namespaces), nothing can be watched.
    let sees = board.neighbours.allSatisfy { kill($0.process, 0) == 0 || errno == EPERM }
    guard try machine.allReduce(Int32(sees ? 1 : 0), .minimum) == 1 else { return }
    self.board.withLock { $0 = board }
    signal(SIGTERM) { _ in RankWatch.terminated.store(true, ordering: .relaxed) }
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in RankWatch.watch() }, nil)
  }

  /// Says that this rank is about to leave, whatever for: the others then do not take it for killed.
  public static func leave() {
    board.withLock { board in
      if let board { board.leaving[board.own] = 1 }
      board = nil
    }
  }

  /// Whether this rank shall say what ends the run; true for one rank of the machine.
  static func claimReport() -> Bool {
    board.withLock { board in
      guard let board else { return true }
      let reported = board.leaving + board.neighbours.count
      defer { reported.pointee = 1 }
      return reported.pointee == 0
    }
  }

  /// A page of memory that the machine's ranks share; nil if none can be had.
  private static func sharedPage(_ machine: Communicator) throws(MPIError) -> UnsafeMutablePointer<UInt8>? {
    let byteCount = machine.size + 1
    return try SharedMemory.pages(machine, byteCount: byteCount)?.bindMemory(to: UInt8.self, capacity: byteCount)
  }

  private static func watch() -> UnsafeMutableRawPointer? {
    var looks = 0
    while true {
      usleep(patience)
      guard let board = board.withLock({ $0 }) else {
        if terminated.load(ordering: .relaxed) { terminate() }
        // The process is leaving; a signal still has to end it if it does not.
        continue
      }
      let gone = board.neighbours.indices.filter {
        board.leaving[$0] == 0 && kill(board.neighbours[$0].process, 0) != 0 && errno == ESRCH
      }
      if !gone.isEmpty { end(board, gone) }
      guard terminated.load(ordering: .relaxed) else { continue }
      looks += 1
      if looks > 6 { terminate() }
    }
  }

  /// Ends this rank because others are gone.
  private static func end(_ board: Board, _ gone: [Int]) -> Never {
    let left = board.neighbours.indices.filter { !gone.contains($0) && board.leaving[$0] == 0 }
    let reported = board.leaving + board.neighbours.count
    if left.first == board.own, reported.pointee == 0 {
      reported.pointee = 1
      let names = gone.map { "rank \(board.neighbours[$0].rank) (process \(board.neighbours[$0].process))" }
      Environment.report(
        "\(names.joined(separator: " and ")) was killed or crashed, so all ranks end; "
          + "start again from the last checkpoint")
    }
    // Long enough for the others to see who is left.
    usleep(6 * patience)
    board.leaving[board.own] = 1
    _exit(137)
  }

  /// Lets SIGTERM do what it does.
  private static func terminate() -> Never {
    signal(SIGTERM, SIG_DFL)
    kill(getpid(), SIGTERM)
    _exit(143)
  }
}
