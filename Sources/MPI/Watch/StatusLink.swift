import Glibc
import Telemetry

/// Another rank's side of the status channel: keeps a connection to rank 0. While it has none, it tries rank 0's
/// addresses in turn.
package final class StatusLink {
  private let endpoints: [StatusEndpoint]
  private let key: StatusKey
  private let rank: Int
  private let ranks: Int
  private var socket: StatusSocket
  private var isConnected = false
  private var attempts = 0
  private var nextAttempt: UInt64 = 0
  private var hub: (state: RankState, at: UInt64)?
  /// Whether rank 0 has ordered this rank to exit.
  package private(set) var isEnded = false

  /// - Parameter endpoints: the addresses on which rank 0 listens.
  package init(_ key: StatusKey, rank: Int, ranks: Int, endpoints: [StatusEndpoint]) {
    self.endpoints = endpoints
    self.key = key
    self.rank = rank
    self.ranks = ranks
    socket = StatusSocket(-1, .link(key, rank: rank, ranks: ranks))
  }

  /// Waits up to `milliseconds` for frames.
  package func receive(milliseconds: Int32) {
    connectIfNeeded()
    guard socket.isOpen else {
      usleep(UInt32(milliseconds) * 1000)
      return
    }
    let events = Int16(isConnected ? POLLIN : POLLOUT)
    var descriptors = [pollfd(fd: socket.descriptor, events: events, revents: 0)]
    guard poll(&descriptors, 1, milliseconds) > 0 else { return }
    if !isConnected {
      var problem: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(socket.descriptor, SOL_SOCKET, SO_ERROR, &problem, &length)
      if problem == 0 { isConnected = true } else { socket.close() }
      return
    }
    for frame in socket.frames() {
      hub = (frame.state, FlightRecorder.clock())
      if frame.kind == .end { isEnded = true }
    }
  }

  package func send(_ state: RankState) {
    if isConnected { socket.send(StatusFrame(state: state)) }
  }

  /// The last state of rank 0, and this rank's state.
  package func observed(_ own: RankState) -> [Int: HangReport.Observation] {
    var result = [own.rank: HangReport.Observation(state: own, silence: 0)]
    if let hub {
      let silence = FlightRecorder.seconds(from: hub.at, to: FlightRecorder.clock())
      result[0] = HangReport.Observation(state: hub.state, silence: silence)
    }
    return result
  }

  /// Whether rank 0 answers.
  package var hearsHub: Bool {
    hub.map { FlightRecorder.seconds(from: $0.at, to: FlightRecorder.clock()) <= HangReport.patience } ?? false
  }

  private func connectIfNeeded() {
    let now = FlightRecorder.clock()
    // A connection that no longer delivers frames, or does not open, is replaced by a new one.
    let isStale = socket.isOpen && now > nextAttempt && !hearsHub
    if isStale { socket.close() }
    guard !socket.isOpen, !endpoints.isEmpty, now > nextAttempt else { return }
    nextAttempt = now + 4_000_000_000
    isConnected = false
    let endpoint = endpoints[attempts % endpoints.count]
    attempts += 1
    socket = StatusSocket(StatusSocket.make(), .link(key, rank: rank, ranks: ranks))
    let code = endpoint.withAddress { connect(socket.descriptor, $0, $1) }
    if code == 0 { isConnected = true } else if errno != EINPROGRESS { socket.close() }
  }
}
