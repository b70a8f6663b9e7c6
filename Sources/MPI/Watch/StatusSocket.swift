import Glibc

/// A TCP connection that carries status frames and never blocks.
final class StatusSocket {
  private(set) var descriptor: Int32
  private var received: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close() }

  var isOpen: Bool { descriptor >= 0 }

  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Sends a frame, or leaves it out where the other side does not read.
  func send(_ frame: StatusFrame) {
    guard isOpen else { return }
    let bytes = frame.bytes
    let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    let isFull = sent < 0 && (errno == EAGAIN || errno == EINTR)
    // Half a frame would shift all that follow.
    if sent != bytes.count, !isFull { close() }
  }

  /// The frames that have arrived; closes the connection at its end and at what is no frame of this run.
  func frames(nonce: UInt64) -> [StatusFrame] {
    var chunk = [UInt8](repeating: 0, count: 8 * StatusFrame.byteCount)
    while isOpen {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 {
        received += chunk.prefix(count)
        if count == chunk.count { continue }
      } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
        close()
      }
      break
    }
    var frames: [StatusFrame] = []
    while received.count >= StatusFrame.byteCount {
      guard let frame = StatusFrame(Array(received.prefix(StatusFrame.byteCount)), nonce: nonce) else {
        close()
        return frames
      }
      received.removeFirst(StatusFrame.byteCount)
      frames.append(frame)
    }
    return frames
  }

  /// An IPv4 address with a port, for the system's calls; both in the network's byte order.
  static func withAddress<Result>(
    _ address: UInt32, port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = address
    name.sin_port = port
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  /// A new socket that does not block and does not reach child processes; negative where there is none.
  static func make() -> Int32 {
    let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    return socket(AF_INET, Int32(kind), 0)
  }

  static let loopback = UInt32(0x7f00_0001).bigEndian
}
