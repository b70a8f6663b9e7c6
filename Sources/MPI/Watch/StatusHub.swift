import Glibc

/// Rank 0's side of the status channel: listens, and keeps what every rank said last.
final class StatusHub {
  private let listener: Int32
  private let nonce: UInt64
  private var peers: [StatusSocket] = []
  private var heard: [Int: (state: RankState, at: UInt64)] = [:]
  /// In the network's byte order.
  let port: UInt16

  /// Nil where no port can be had.
  ///
  /// - Parameters:
  ///   - isLocal: whether all ranks are on this machine, so that nobody else needs to reach the port.
  ///   - peers: the ranks that will connect.
  init?(nonce: UInt64, isLocal: Bool, peers: Int) {
    self.nonce = nonce
    Self.allowDescriptors(peers)
    let descriptor = StatusSocket.make()
    listener = descriptor
    let address = isLocal ? StatusSocket.loopback : UInt32(0)
    guard descriptor >= 0, StatusSocket.withAddress(address, port: 0, { bind(descriptor, $0, $1) }) == 0,
      listen(descriptor, Int32(min(4096, peers + 16))) == 0
    else { return nil }
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard code == 0 else { return nil }
    port = name.sin_port
  }

  /// Raises the limit of open files for one connection a rank.
  private static func allowDescriptors(_ peers: Int) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, max(limit.rlim_cur, rlim_t(peers + 1024)))
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Waits for news for up to `milliseconds`; returns whether a rank newly asks for a report.
  func receive(milliseconds: Int32) -> Bool {
    var descriptors = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
    descriptors += peers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    guard poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 else { return false }
    var isAsked = false
    for (peer, descriptor) in zip(peers, descriptors.dropFirst()) where descriptor.revents != 0 {
      for frame in peer.frames(nonce: nonce) {
        isAsked = isAsked || frame.state.wantsReport
        heard[frame.state.rank] = (frame.state, FlightRecorder.clock())
      }
    }
    peers.removeAll { !$0.isOpen }
    while true {
      let descriptor = accept(listener, nil, nil)
      guard descriptor >= 0 else { break }
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      peers.append(StatusSocket(descriptor))
    }
    return isAsked
  }

  /// Tells all ranks about rank 0, or to leave.
  func send(_ state: RankState, _ kind: StatusFrame.Kind) {
    for peer in peers { peer.send(StatusFrame(nonce: nonce, kind: kind, state: state)) }
  }

  /// What every rank said last, rank 0's own state included.
  func observed(_ own: RankState) -> [Int: HangReport.Observation] {
    let now = FlightRecorder.clock()
    var result = heard.mapValues {
      HangReport.Observation(state: $0.state, silence: FlightRecorder.seconds(from: $0.at, to: now))
    }
    result[own.rank] = HangReport.Observation(state: own, silence: 0)
    return result
  }

  /// This machine's IPv4 addresses but the loopback's, in the network's byte order.
  static var addresses: [UInt32] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var result: [UInt32] = []
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let name = entry.pointee.ifa_addr, name.pointee.sa_family == sa_family_t(AF_INET) else { continue }
      let address = name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
      if address != StatusSocket.loopback { result.append(address) }
    }
    return result
  }
}
