import Glibc
import Telemetry

/// A TCP connection of the status channel. It never blocks, and carries frames once both sides have proved themselves.
final class StatusSocket {
  private(set) var descriptor: Int32
  private var session: StatusSession
  /// The time at which the socket was created (`FlightRecorder.clock`).
  let since = FlightRecorder.clock()

  init(_ descriptor: Int32, _ session: StatusSession) {
    self.descriptor = descriptor
    self.session = session
    if isOpen { sendWhole(session.greeting) }
  }

  deinit { close() }

  var isOpen: Bool { descriptor >= 0 }

  /// The other side's rank, once it has proved itself.
  var rank: Int? { session.stage == .open ? session.rank : nil }

  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Sends a frame, or skips it if the other side does not read or has not proved itself.
  func send(_ frame: StatusFrame) {
    guard isOpen, let bytes = session.sealed(frame) else { return }
    if sendWhole(bytes) { session.isSent() }
  }

  /// Returns whether the bytes have been sent. If the other side does not read, sends nothing. Half a message would
  /// shift all later ones, so it closes the connection.
  @discardableResult
  private func sendWhole(_ bytes: [UInt8]) -> Bool {
    guard !bytes.isEmpty else { return true }
    let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    let isFull = sent < 0 && (errno == EAGAIN || errno == EINTR)
    if sent != bytes.count, !isFull { close() }
    return sent == bytes.count
  }

  /// The frames that have arrived, a few at a time. Closes the connection at its end and at bytes that are not of this
  /// run.
  func frames() -> [StatusFrame] {
    var chunk = [UInt8](repeating: 0, count: 8 * StatusFrame.byteCount)
    guard isOpen else { return [] }
    let count = recv(descriptor, &chunk, chunk.count, 0)
    guard count > 0 else {
      if count == 0 || (errno != EAGAIN && errno != EINTR) { close() }
      return []
    }
    let (answer, frames) = session.receive(Array(chunk.prefix(count)))
    // If a proof cannot be sent completely, the connection is closed.
    if !answer.isEmpty, !sendWhole(answer) { close() }
    if session.stage == .refused { close() }
    return frames
  }

  /// The address of the descriptor (`call` is getsockname) or of the other side (getpeername).
  static func address(
    of descriptor: Int32, _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> StatusEndpoint? {
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
    }
    return code == 0 ? StatusEndpoint(address: name.sin_addr.s_addr, port: name.sin_port) : nil
  }

  /// A new non-blocking socket that child processes do not inherit; negative if there is none.
  static func make(_ kind: __socket_type = SOCK_STREAM) -> Int32 {
    socket(AF_INET, Int32(kind.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }
}

/// An IPv4 address with a port; both in network byte order.
package struct StatusEndpoint: Sendable, Equatable {
  package static let loopback = UInt32(0x7f00_0001).bigEndian

  package var address: UInt32
  package var port: UInt16

  package init(address: UInt32, port: UInt16 = 0) {
    self.address = address
    self.port = port
  }

  /// Calls `body` with the address in the form that system calls take.
  package func withAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = address
    name.sin_port = port
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}
