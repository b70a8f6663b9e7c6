internal import CMPI
import Glibc
import Synchronization
import Telemetry

/// Ends a run in which ranks wait for each other longer than `parallel.timeout`. One line says who waits for whom, and
/// every rank writes its flight record. SIGQUIT to any rank prints the states of all ranks and does not end the run.
///
/// A rank that is blocked inside MPI cannot send anything over MPI. So a thread of each rank keeps a TCP connection to
/// rank 0 and sends its state twice a second; rank 0 answers in the same way. Rank 0 reports and orders the ranks to
/// exit. A rank that waits too long and gets no order (the link is cut, rank 0 is stopped) reports what it knows and
/// exits, so that no part of a split network waits forever.
///
/// Rank 0 listens on the loopback address for the ranks of its machine, and on its addresses in the run's network for
/// others (`RunNetwork`). Ranks prove with a secret, sent over MPI, that they belong to the run (`StatusSession`).
public enum Watchdog {
  private static let asked = Atomic(false)
  private static let directory = Mutex<String?>(nil)

  /// Starts to watch. Collective.
  ///
  /// - Parameter timeout: seconds that a collective may take.
  public static func start(_ world: Communicator, timeout: Int) throws(MPIError) {
    let channel = try Channel.open(world)
    let watch = Watch(rank: world.rank, ranks: world.size, timeout: timeout, channel: channel)
    signal(SIGQUIT) { _ in Watchdog.asked.store(true, ordering: .relaxed) }
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        // The parent process may have blocked the signal, and a blocked signal is inherited.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGQUIT)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        if let argument { Unmanaged<Watch>.fromOpaque(argument).takeUnretainedValue().run() }
        return nil
      }, Unmanaged.passRetained(watch).toOpaque())
    precondition(code == 0, "the watchdog's thread cannot start: error \(code)")
  }

  /// Sets the directory for flight records.
  public static func keepRecords(in path: String) { directory.withLock { $0 = path } }

  /// Rank 0's hub, or another rank's link to it.
  private enum Channel {
    case hub(StatusHub)
    case link(StatusLink)
    /// There is only one rank, or rank 0 has no port.
    case none

    /// Collective.
    static func open(_ world: Communicator) throws(MPIError) -> Channel {
      let machine = try world.splitByMachine()
      guard world.size > 1 else { return .none }
      let key = StatusKey(try world.broadcast(StatusKey.random().bytes, from: 0))
      let isWithHub = try machine.broadcast(world.rank == 0 ? 1 : 0, from: 0) == 1
      let machines = try world.allGatherv(machine.rank == 0 ? words(RunNetwork.cards) : []).map(cards)
      var hub: StatusHub?
      if world.rank == 0 {
        let others = machines.dropFirst().filter { !$0.isEmpty }
        let included = getenv("OMPI_MCA_btl_tcp_if_include").map { String(cString: $0) }
        let network = RunNetwork.listening(own: RunNetwork.cards, machines: others, included: included)
        hub = StatusHub(
          key, ranks: world.size, addresses: (machine.size > 1 ? [StatusEndpoint.loopback] : []) + network,
          neighbours: Set(machines.joined().map(\.address)))
      }
      let numbers = try world.broadcast(
        (hub?.endpoints ?? []).flatMap { [$0.address, UInt32($0.port)] }, from: 0)
      if let hub { return .hub(hub) }
      let endpoints = stride(from: 0, to: numbers.count, by: 2)
        .map { StatusEndpoint(address: numbers[$0], port: UInt16(numbers[$0 + 1])) }
        .filter { ($0.address == StatusEndpoint.loopback) == isWithHub }
      guard !endpoints.isEmpty else { return .none }
      return .link(StatusLink(key, rank: world.rank, ranks: world.size, endpoints: endpoints))
    }

    /// Addresses and masks of cards, as numbers to send.
    private static func words(_ cards: [RunNetwork.Card]) -> [UInt32] { cards.flatMap { [$0.address, $0.mask] } }

    private static func cards(_ words: [UInt32]) -> [RunNetwork.Card] {
      stride(from: 0, to: words.count, by: 2).map { RunNetwork.Card(address: words[$0], mask: words[$0 + 1]) }
    }
  }

  /// One rank's watch; only its thread uses it.
  private final class Watch: @unchecked Sendable {
    private let rank: Int
    private let ranks: Int
    private let timeout: Int
    private let channel: Channel
    private var lastWord: UInt64 = 0
    /// Since when this rank has waited too long; for rank 0, since when any rank has.
    private var expiredSince: UInt64?
    /// When this thread last ran, and when it last ran again after a pause: the process had been stopped.
    private var lastLook: UInt64?
    private var continued: UInt64?
    private static let look: Int32 = 200
    private static let interval: UInt64 = 500_000_000

    init(rank: Int, ranks: Int, timeout: Int, channel: Channel) {
      self.rank = rank
      self.ranks = ranks
      self.timeout = timeout
      self.channel = channel
    }

    func run() -> Never {
      while true {
        switch channel {
        case .hub(let hub):
          let isAsked = hub.receive(milliseconds: Self.look)
          let own = state()
          if isAsked || own.wantsReport { print(describe(hub.observed(own))) }
          if isDue { hub.send(own, .state) }
          decide(hub, own)
        case .link(let link):
          link.receive(milliseconds: Self.look)
          if link.isEnded { leave(reason: "rank 0 ended the run") }
          let own = state()
          if own.wantsReport { ask(link, own) } else if isDue { link.send(own) }
          decide(link, own)
        case .none:
          usleep(UInt32(Self.look) * 1000)
          let own = state()
          let alone = [rank: HangReport.Observation(state: own, silence: 0)]
          if own.wantsReport { print(describe(alone)) }
          if own.isExpired { speak(describe(alone)) }
        }
      }
    }

    /// Whether it is time to send this rank's state.
    private var isDue: Bool {
      let now = FlightRecorder.clock()
      guard now > lastWord + Self.interval else { return false }
      lastWord = now
      return true
    }

    private func state() -> RankState {
      let now = FlightRecorder.clock()
      if let lastLook, FlightRecorder.seconds(from: lastLook, to: now) > HangReport.patience { continued = now }
      lastLook = now
      var state = RankState(rank: rank, FlightRecorder.snapshot())
      // After a job was suspended as a whole, the timeout starts again.
      let awake = continued.map { FlightRecorder.seconds(from: $0, to: now) } ?? .infinity
      state.isExpired = min(awake, state.waiting?.seconds ?? 0) >= Double(timeout)
      state.wantsReport = Watchdog.asked.exchange(false, ordering: .relaxed)
      return state
    }

    private func describe(_ observed: [Int: HangReport.Observation]) -> HangReport {
      var hearsAll = rank == 0
      if case .none = channel { hearsAll = false }
      return HangReport(ranks: ranks, observed: observed, hearsAll: hearsAll)
    }

    /// Rank 0: after a rank has waited too long, listens a little longer, then reports for all.
    private func decide(_ hub: StatusHub, _ own: RankState) {
      let report = describe(hub.observed(own))
      guard report.line() != nil else {
        expiredSince = nil
        return
      }
      let now = FlightRecorder.clock()
      let since = expiredSince ?? now
      expiredSince = since
      guard FlightRecorder.seconds(from: since, to: now) > 1.5 else { return }
      speak(report) { hub.send(own, .end) }
    }

    /// Another rank: reports and exits by itself if rank 0 should have given the order and did not.
    private func decide(_ link: StatusLink, _ own: RankState) {
      guard own.isExpired else {
        expiredSince = nil
        return
      }
      let now = FlightRecorder.clock()
      let since = expiredSince ?? now
      if expiredSince == nil { link.send(own) }
      expiredSince = since
      let waited = FlightRecorder.seconds(from: since, to: now)
      if waited > (link.hearsHub ? 10 : 3.5) { speak(describe(link.observed(own))) }
    }

    /// Asks rank 0 to print all states, or prints what this rank knows.
    private func ask(_ link: StatusLink, _ own: RankState) {
      if link.hearsHub { link.send(own) } else { print(describe(link.observed(own))) }
    }

    private func print(_ report: HangReport) {
      for line in report.table() { Environment.report(unsigned: line) }
    }

    /// Ends mpirun (or its daemon) if it does not end by itself, because its daemon on another machine is out of reach.
    private func endLauncher() {
      let parent = getppid()
      let file = Glibc.open("/proc/\(parent)/comm", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return }
      defer { close(file) }
      var name = [UInt8](repeating: 0, count: 32)
      let count = max(0, read(file, &name, name.count))
      let text = String(decoding: name.prefix(count).prefix { $0 != 10 }, as: UTF8.self)
      if ["mpirun", "mpiexec", "orterun", "orted"].contains(text) { cmpi_end_launcher(parent, 4) }
    }

    /// Prints the line, unless another rank of this machine has, and ends this rank.
    private func speak(_ report: HangReport, beforeLeaving: () -> Void = {}) -> Never {
      let line = report.line() ?? "rank \(rank): a collective takes too long"
      if RankWatch.claimReport() {
        let records =
          Watchdog.directory.withLock { $0 }.map { "\($0)/flight-rank-*.json has the events before it; " } ?? ""
        Environment.report(
          unsigned:
            "\(line); \(records)raise parallel.timeout (\(timeout) s) if this is not a hang, or start again "
            + "from the last checkpoint")
        endLauncher()
      }
      beforeLeaving()
      leave(reason: line)
    }

    /// Writes the flight record and ends this rank with exit code 1.
    private func leave(reason: String) -> Never {
      if let path = Watchdog.directory.withLock({ $0 }) {
        let record = FlightRecord(rank: rank, ranks: ranks, timeout: timeout, reason: reason)
        if record.write(to: path) == nil {
          Environment.report("the flight record cannot be written to \(path): \(String(cString: strerror(errno)))")
        }
      }
      // Time for the records of the others: the first rank that exits ends all.
      usleep(700_000)
      RankWatch.leave()
      _exit(1)
    }
  }
}
