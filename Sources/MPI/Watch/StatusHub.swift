import Glibc
import Telemetry

/// Rank 0's side of the status channel: listens, and keeps the last state of every rank.
///
/// A new connection has a few seconds to prove that it is a rank of this run. If too many have not proved it yet, the
/// oldest is closed, so that strangers use up neither the connections for ranks nor this process's descriptors.
package final class StatusHub {
  /// Maximum number of connections that have not proved themselves.
  package static let strangers = 32

  private let key: StatusKey
  private let ranks: Int
  /// Nanoseconds that a connection has to prove itself.
  private let patience: UInt64
  /// The addresses from which connections are accepted.
  private let neighbours: Set<UInt32>
  private var listeners: [Int32] = []
  private var proving: [StatusSocket] = []
  private var peers: [Int: StatusSocket] = [:]
  private var heard: [Int: (state: RankState, at: UInt64)] = [:]
  /// The addresses and ports on which the hub listens.
  package let endpoints: [StatusEndpoint]

  /// Returns nil if no port is available.
  ///
  /// - Parameters:
  ///   - ranks: number of ranks in the world.
  ///   - addresses: the addresses to listen on, in network byte order.
  ///   - neighbours: the addresses from which ranks connect, in network byte order.
  ///   - patience: seconds that a connection has to prove itself.
  package init?(
    _ key: StatusKey, ranks: Int, addresses: [UInt32], neighbours: Set<UInt32>, patience: Double = 5
  ) {
    self.key = key
    self.ranks = ranks
    self.patience = UInt64(patience * 1e9)
    self.neighbours = neighbours.union(addresses)
    var endpoints: [StatusEndpoint] = []
    for address in addresses {
      let descriptor = StatusSocket.make()
      guard descriptor >= 0 else { continue }
      if StatusEndpoint(address: address).withAddress({ bind(descriptor, $0, $1) }) == 0,
        listen(descriptor, Int32(min(4096, ranks + 16))) == 0,
        let endpoint = StatusSocket.address(of: descriptor, { getsockname($0, $1, $2) })
      {
        listeners.append(descriptor)
        endpoints.append(endpoint)
      } else {
        close(descriptor)
      }
    }
    self.endpoints = endpoints
    guard !endpoints.isEmpty else { return nil }
    Self.allowDescriptors(ranks + Self.strangers)
  }

  deinit { for listener in listeners { close(listener) } }

  /// Raises the limit of open files for these connections.
  private static func allowDescriptors(_ connections: Int) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, max(limit.rlim_cur, rlim_t(connections + 1024)))
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Waits up to `milliseconds` for frames; returns whether a rank has asked for a report.
  package func receive(milliseconds: Int32) -> Bool {
    let connections = proving + peers.values
    var descriptors = (listeners + connections.map(\.descriptor)).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let count = poll(&descriptors, nfds_t(descriptors.count), milliseconds)
    var isAsked = false
    if count > 0 {
      for (connection, descriptor) in zip(connections, descriptors.dropFirst(listeners.count))
      where descriptor.revents != 0 {
        for frame in connection.frames() {
          isAsked = isAsked || frame.state.wantsReport
          heard[frame.state.rank] = (frame.state, FlightRecorder.clock())
        }
        // If a rank has connected again, the new connection replaces the old one.
        if connection.isOpen, let rank = connection.rank { peers[rank] = connection }
      }
    }
    let now = FlightRecorder.clock()
    peers = peers.filter { $0.value.isOpen }
    proving.removeAll { !$0.isOpen || $0.rank != nil || now &- $0.since > patience }
    for listener in listeners { admit(from: listener) }
    return isAsked
  }

  /// Accepts waiting connections, a limited number at a time.
  private func admit(from listener: Int32) {
    for _ in 0..<Self.strangers {
      let descriptor = accept(listener, nil, nil)
      guard descriptor >= 0 else {
        // Without a free descriptor, poll would return immediately again and again.
        if errno != EAGAIN, errno != EINTR { usleep(50_000) }
        return
      }
      guard let peer = StatusSocket.address(of: descriptor, { getpeername($0, $1, $2) }),
        neighbours.contains(peer.address)
      else {
        close(descriptor)
        continue
      }
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      if proving.count >= Self.strangers { proving.removeFirst() }
      proving.append(StatusSocket(descriptor, .hub(key, ranks: ranks)))
    }
    // Leaves time for other work if strangers connect without pause.
    usleep(1_000)
  }

  /// Sends rank 0's state, or the order to exit, to all ranks.
  package func send(_ state: RankState, _ kind: StatusFrame.Kind) {
    for peer in peers.values { peer.send(StatusFrame(kind: kind, state: state)) }
  }

  /// The last state of every rank, including rank 0's own state.
  package func observed(_ own: RankState) -> [Int: HangReport.Observation] {
    let now = FlightRecorder.clock()
    var result = heard.mapValues {
      HangReport.Observation(state: $0.state, silence: FlightRecorder.seconds(from: $0.at, to: now))
    }
    result[own.rank] = HangReport.Observation(state: own, silence: 0)
    return result
  }
}
