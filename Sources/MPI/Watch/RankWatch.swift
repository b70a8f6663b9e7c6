internal import CMPI
import Glibc
import Synchronization

/// Watches the ranks of this machine. If one is killed, all end soon, with one line that names the killed rank.
///
/// A rank that is blocked in a collective cannot notice that another is gone. mpirun notices, but names the rank in a
/// paragraph and kills the rest. So a thread of every rank checks the other processes several times a second. If one is
/// gone, the lowest remaining rank reports it, and all exit with code 137. SIGTERM, by which mpirun ends ranks, is
/// delayed until the thread has checked. A rank that exits normally, or with an error of its own, first says so on a
/// page of shared memory.
public enum RankWatch {
  /// One rank of this machine.
  private struct Neighbour: Sendable {
    let rank: Int
    let process: pid_t
  }

  private struct Board: @unchecked Sendable {
    let neighbours: [Neighbour]
    let own: Int
    /// One byte for each neighbour: 1 once it exits in an orderly way. The last byte: whether a death has been
    /// reported.
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
    // If processes cannot see each other (namespaces), nothing can be watched.
    let sees = board.neighbours.allSatisfy { kill($0.process, 0) == 0 || errno == EPERM }
    guard try machine.allReduce(Int32(sees ? 1 : 0), .minimum) == 1 else { return }
    self.board.withLock { $0 = board }
    signal(SIGTERM) { _ in RankWatch.terminated.store(true, ordering: .relaxed) }
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in RankWatch.watch() }, nil)
  }

  /// Announces that this rank is about to exit, for any reason, so that the others do not report it as killed.
  public static func leave() {
    board.withLock { board in
      if let board { board.leaving[board.own] = 1 }
      board = nil
    }
  }

  /// Whether this rank reports the failure; true for one rank of the machine.
  static func claimReport() -> Bool {
    board.withLock { board in
      guard let board else { return true }
      let reported = board.leaving + board.neighbours.count
      defer { reported.pointee = 1 }
      return reported.pointee == 0
    }
  }

  /// A page of memory shared by the ranks of the machine; nil if it cannot be mapped.
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
        // The process is exiting. If it hangs, a signal must still be able to end it.
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
    // Time for the other ranks to see which ranks remain.
    usleep(6 * patience)
    board.leaving[board.own] = 1
    _exit(137)
  }

  /// Lets SIGTERM end the process.
  private static func terminate() -> Never {
    signal(SIGTERM, SIG_DFL)
    kill(getpid(), SIGTERM)
    _exit(143)
  }
}
