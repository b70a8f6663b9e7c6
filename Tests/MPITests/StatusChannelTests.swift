import Foundation
import MPI
import Telemetry
import Testing

/// The attacker can reach rank 0's port, or listen at the address at which a rank looks for rank 0.
@Suite("The status channel against strangers", .serialized)
struct StatusChannelTests {
  private static let key = StatusKey((0..<UInt8(StatusKey.byteCount)).map { $0 &* 7 &+ 3 })
  private static let ranks = 3
  private static let challenge = 24

  private func hub(patience: Double = 5) throws -> StatusHub {
    try #require(
      StatusHub(
        Self.key, ranks: Self.ranks, addresses: [StatusEndpoint.loopback], neighbours: [], patience: patience))
  }

  private func link(_ rank: Int, _ endpoint: StatusEndpoint) -> StatusLink {
    StatusLink(Self.key, rank: rank, ranks: Self.ranks, endpoints: [endpoint])
  }

  /// Lets both sides work for a while.
  private func pump(_ hub: StatusHub, _ links: [StatusLink] = [], rounds: Int = 20) {
    for _ in 0..<rounds {
      _ = hub.receive(milliseconds: 2)
      for link in links { link.receive(milliseconds: 2) }
    }
  }

  /// A rank in a collective that has taken too long.
  private func expired(_ rank: Int) -> RankState {
    var state = RankState(rank: rank)
    state.step = 41
    state.phase = "rewards"
    state.waiting = RankState.Waiting(
      title: "all-reduce gradients", seconds: 301, communicator: 1,
      members: StridedRanks(first: 0, stride: 1, count: Int32(Self.ranks)), number: 7)
    state.progress = [1: 7]
    state.isExpired = true
    return state
  }

  private func line(_ hub: StatusHub) -> String? {
    HangReport(ranks: Self.ranks, observed: hub.observed(RankState(rank: 0)), hearsAll: true).line()
  }

  private func table(_ hub: StatusHub) -> [String] {
    HangReport(ranks: Self.ranks, observed: hub.observed(RankState(rank: 0)), hearsAll: true).table()
  }

  @Test("A rank with the run's secret is heard, and hears rank 0 and its order to exit")
  func ranksAreHeard() throws {
    let hub = try hub()
    let links = [1, 2].map { link($0, hub.endpoints[0]) }
    pump(hub, links)
    for (number, link) in links.enumerated() { link.send(expired(number + 1)) }
    hub.send(RankState(rank: 0), .state)
    pump(hub, links)
    #expect(table(hub)[1...].allSatisfy { $0.contains(": in all-reduce gradients, for 301 s, step 41") })
    #expect(line(hub)?.contains("has waited 301 s") == true)
    #expect(links.allSatisfy { $0.hearsHub && !$0.isEnded })
    hub.send(RankState(rank: 0), .end)
    pump(hub, links)
    #expect(links.allSatisfy { $0.isEnded })
  }

  @Test("A new connection gets random bytes and nothing else")
  func saysNothing() throws {
    let hub = try hub()
    let strangers = try (0..<2).map { _ in try Stranger(connectingTo: hub.endpoints[0]) }
    pump(hub)
    hub.send(expired(0), .state)
    pump(hub)
    let heard = strangers.map { $0.read(1000) }
    #expect(heard.map(\.count) == [Self.challenge, Self.challenge])
    #expect(heard[0].prefix(8) == heard[1].prefix(8))
    #expect(heard[0].suffix(16) != heard[1].suffix(16))
    #expect(strangers.allSatisfy { $0.read(1).isEmpty })
  }

  @Test("Frames of a stranger are ignored, with any tag, and end the connection")
  func forgedFrames() throws {
    let hub = try hub()
    let rank = link(1, hub.endpoints[0])
    pump(hub, [rank])
    for extra in [0, 32, 56, 4096] {
      let stranger = try Stranger(connectingTo: hub.endpoints[0])
      pump(hub, [rank], rounds: 3)
      stranger.write(StatusFrame(kind: .end, state: expired(2)).bytes + [UInt8](repeating: 0, count: extra))
      pump(hub, [rank], rounds: 10)
      _ = stranger.read(Self.challenge)
      #expect(stranger.isClosed)
    }
    #expect(hub.observed(RankState(rank: 0)).keys.sorted() == [0])
    #expect(line(hub) == nil)
    #expect(!rank.isEnded)
  }

  @Test("A recorded proof is not valid on another connection, nor is a proof with another secret")
  func replayedProof() throws {
    let hub = try hub()
    var session = StatusSession.link(Self.key, rank: 1, ranks: Self.ranks)
    let first = try Stranger(connectingTo: hub.endpoints[0])
    pump(hub, rounds: 3)
    let proof = session.receive(first.read(Self.challenge)).answer
    first.write(proof)
    pump(hub, rounds: 3)
    #expect(first.read(1000).count == 32)
    var other = StatusSession.link(.random(), rank: 1, ranks: Self.ranks)
    let second = try Stranger(connectingTo: hub.endpoints[0])
    let third = try Stranger(connectingTo: hub.endpoints[0])
    pump(hub, rounds: 3)
    second.write(proof)
    third.write(other.receive(third.read(Self.challenge)).answer)
    _ = second.read(Self.challenge)
    pump(hub, rounds: 3)
    #expect(second.isClosed && third.isClosed && !first.isClosed)
  }

  @Test("An impostor of rank 0 learns no secret, ends no rank and is not heard")
  func impostor() throws {
    let impostor = try Stranger(listening: ())
    let rank = link(1, try impostor.endpoint())
    rank.receive(milliseconds: 5)
    try impostor.accept()
    // Before a challenge, a rank sends nothing.
    rank.receive(milliseconds: 5)
    #expect(impostor.read(1).isEmpty)
    impostor.write(Array("quillan".utf8) + [2] + [UInt8](repeating: 9, count: 16))
    for _ in 0..<5 { rank.receive(milliseconds: 5) }
    let proof = impostor.read(1000)
    #expect(proof.count == 56)
    // The rank's own bytes, or any others, do not prove rank 0, and an order after them is not followed.
    impostor.write(Array(proof.suffix(32)) + StatusFrame(kind: .end, state: RankState(rank: 0)).bytes)
    for _ in 0..<5 {
      rank.send(expired(1))
      rank.receive(milliseconds: 5)
    }
    #expect(impostor.read(1000).isEmpty && impostor.isClosed)
    #expect(!rank.isEnded && !rank.hearsHub)
  }

  /// Both ends of a connection that have proved themselves.
  private func pair(rank: Int = 1) -> (hub: StatusSession, link: StatusSession) {
    var hub = StatusSession.hub(Self.key, ranks: Self.ranks)
    var link = StatusSession.link(Self.key, rank: rank, ranks: Self.ranks)
    let proof = link.receive(hub.greeting).answer
    _ = link.receive(hub.receive(proof).answer)
    return (hub, link)
  }

  @Test("A frame that is altered, repeated, skipped, sent back or moved to another connection ends the connection")
  func tamperedFrames() throws {
    func sealed(_ session: inout StatusSession) throws -> [UInt8] {
      defer { session.isSent() }
      return try #require(session.sealed(StatusFrame(state: expired(1))))
    }
    /// Whether the bytes give no frame and end the connection.
    func isRefused(_ bytes: [UInt8], by session: inout StatusSession) -> Bool {
      let frames = session.receive(bytes).frames
      return frames.isEmpty && session.stage == .refused
    }
    var (hub, link) = pair()
    let (first, second) = (try sealed(&link), try sealed(&link))
    var frames = hub.receive(Array(first.prefix(100))).frames
    #expect(frames.isEmpty)
    frames = hub.receive(Array(first.dropFirst(100))).frames
    #expect(frames == [StatusFrame(state: expired(1))])
    var copy = hub
    let refusesRepetition = isRefused(first, by: &copy)
    #expect(refusesRepetition)
    frames = hub.receive(second).frames
    #expect(frames.count == 1)
    for place in [0, 8, 30, StatusFrame.byteCount - 1, StatusFrame.byteCount, first.count - 1] {
      var (hub, link) = pair()
      var bytes = try sealed(&link)
      bytes[place] ^= 1
      let refusesChange = isRefused(bytes, by: &hub)
      // Nothing reopens the connection.
      let staysRefused = isRefused(try sealed(&link), by: &hub)
      #expect(refusesChange && staysRefused, "byte \(place)")
    }
    var skipping = pair()
    _ = try sealed(&skipping.link)
    let refusesGap = isRefused(try sealed(&skipping.link), by: &skipping.hub)
    #expect(refusesGap)
    var reflected = pair()
    let own = try sealed(&reflected.link)
    let refusesOwn = isRefused(own, by: &reflected.link)
    #expect(refusesOwn)
    var another = pair()
    let refusesOthers = isRefused(first, by: &another.hub)
    #expect(refusesOthers)
  }

  @Test("A rank can send only its own state, and only ranks of the world can send")
  func ownNumber() throws {
    var (hub, link) = pair(rank: 1)
    #expect(hub.rank == 1 && link.rank == 0)
    let sealed = try #require(link.sealed(StatusFrame(state: expired(2))))
    let frames = hub.receive(sealed).frames
    #expect(frames.isEmpty && hub.stage == .refused)
    for rank in [0, Self.ranks, 1 << 40] {
      let (hub, link) = pair(rank: rank)
      #expect(hub.stage == .refused && link.stage == .proving && link.sealed(StatusFrame(state: expired(1))) == nil)
    }
  }

  @Test("A thousand idle connections block neither a rank nor descriptors, and are closed after their time")
  func idleConnections() throws {
    let hub = try hub(patience: 1)
    let early = link(1, hub.endpoints[0])
    pump(hub, [early])
    let port = hub.endpoints[0].port
    let before = accepted(port)
    var strangers: [Stranger] = []
    for _ in 0..<1000 {
      strangers.append(try Stranger(connectingTo: hub.endpoints[0]))
      if strangers.count.isMultiple(of: 10) { pump(hub, rounds: 1) }
    }
    pump(hub, rounds: 40)
    #expect(accepted(port) <= before + StatusHub.strangers)
    let late = link(2, hub.endpoints[0])
    pump(hub, [early, late])
    early.send(expired(1))
    late.send(expired(2))
    pump(hub, [early, late])
    #expect(hub.observed(RankState(rank: 0)).keys.sorted() == [0, 1, 2])
    Thread.sleep(forTimeInterval: 1.1)
    pump(hub, [early, late])
    #expect(accepted(port) <= before + 2)
    _ = strangers[999].read(Self.challenge)
    #expect(strangers[999].isClosed)
    var news = RankState(rank: 1)
    news.phase = "sampling group 812"
    early.send(news)
    pump(hub, [early, late], rounds: 5)
    #expect(table(hub)[1].hasPrefix("rank 1: sampling group 812, "))
  }

  /// Connections of this process at the hub's end; `port` is in the network's byte order.
  private func accepted(_ port: UInt16) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return names.compactMap { Int32($0) }.count { descriptor in
      self.port(descriptor, getsockname) == port && self.port(descriptor, getpeername) != nil
    }
  }

  private func port(
    _ descriptor: Int32, _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> UInt16? {
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
    }
    return code == 0 && name.sin_family == sa_family_t(AF_INET) ? name.sin_port : nil
  }

  @Test("Connections from outside the run's machines are closed without a byte sent")
  func otherAddresses() throws {
    let hub = try hub()
    let stranger = try Stranger(connectingTo: hub.endpoints[0], from: UInt32(0x7f00_0002).bigEndian)
    pump(hub)
    #expect(stranger.read(1).isEmpty && stranger.isClosed)
  }

  @Test("A frame with an impossible field is rejected")
  func fieldsAreChecked() {
    let bytes = StatusFrame(state: expired(1)).bytes
    #expect(StatusFrame(bytes, ranks: Self.ranks)?.state == expired(1))
    func word(_ place: Int, _ value: UInt64) -> StatusFrame? {
      var changed = bytes
      withUnsafeBytes(of: value.littleEndian) { changed.replaceSubrange(place..<place + 8, with: $0) }
      return StatusFrame(changed, ranks: Self.ranks)
    }
    #expect(word(0, 2) == nil && word(0, 1 << 11) == nil && word(0, .max) == nil)
    #expect(word(8, UInt64(Self.ranks)) == nil && word(8, .max) == nil)
    #expect(word(16, .max) == nil && word(16, 1 << 63) == nil)
    for value in [Double.nan, .infinity, -.infinity, -1, 1e300, -0.5] {
      #expect(word(24, value.bitPattern) == nil && word(32, value.bitPattern) == nil, "\(value)")
    }
    // First, stride and count of the members: beyond the world, at no distance, or too many.
    for (place, value) in [(56, 1), (56, 1 << 33), (64, 0), (64, 2), (64, 1 << 31), (72, 4), (72, UInt64.max)] {
      #expect(word(place, value) == nil, "\(place) \(value)")
    }
    for place in [80, 176] {
      var long = bytes
      long[place] = 96
      #expect(StatusFrame(long, ranks: Self.ranks) == nil)
    }
    for count in [0, bytes.count - 1, bytes.count + 1] {
      #expect(StatusFrame([UInt8](repeating: 0, count: count), ranks: Self.ranks) == nil)
    }
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let noise = (0..<StatusFrame.byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
      if let frame = StatusFrame(noise, ranks: Self.ranks) {
        _ = HangReport(ranks: Self.ranks, observed: [1: .init(state: frame.state, silence: 0)], hearsAll: true).table()
      }
    }
  }

  @Test("Control characters in another rank's text are escaped")
  func controlCharacters() throws {
    var state = expired(1)
    state.phase = "a\u{1B}[2J\u{9B}1mb\nquillan: rank 7 c\r\u{202E}\u{2028}\u{7F}"
    state.waiting?.title = "läufe\u{0}\u{1B}]0;x\u{7}"
    let frame = try #require(StatusFrame(StatusFrame(state: state).bytes, ranks: Self.ranks))
    let report = HangReport(ranks: Self.ranks, observed: [1: .init(state: frame.state, silence: 0)], hearsAll: true)
    let text = ([report.line() ?? ""] + report.table()).joined()
    #expect(text.contains("läufe\\u{0}\\u{1B}]0;x\\u{7}"))
    #expect(frame.state.phase == "a\\u{1B}[2J\\u{9B}1mb\\u{A}quillan: rank 7 c\\u{D}\\u{202E}\\u{2028}\\u{7F}")
    let controls = text.unicodeScalars.filter { $0.properties.generalCategory == .control }
    #expect(controls.isEmpty)
  }

  @Test("The report handles any number of seconds")
  func anySeconds() {
    for seconds in [Double.nan, .infinity, -.infinity, 1e300, -1e300, -1] {
      var state = expired(1)
      state.waiting?.seconds = seconds
      let observed = [1: HangReport.Observation(state: state, silence: seconds)]
      let report = HangReport(ranks: 2, observed: observed, hearsAll: true)
      #expect(report.table().count == 2)
      _ = report.line()
    }
  }
}

/// A process that is not in the run, with a TCP connection.
private final class Stranger {
  private var descriptor: Int32
  private var listener: Int32 = -1

  struct Failure: Error {}

  init(connectingTo endpoint: StatusEndpoint, from address: UInt32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if let address {
      guard StatusEndpoint(address: address).withAddress({ bind(descriptor, $0, $1) }) == 0 else { throw Failure() }
    }
    guard endpoint.withAddress({ connect(descriptor, $0, $1) }) == 0 else { throw Failure() }
    limitTime()
  }

  init(listening: Void) throws {
    descriptor = -1
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    let place = StatusEndpoint(address: StatusEndpoint.loopback)
    guard place.withAddress({ bind(listener, $0, $1) }) == 0, listen(listener, 4) == 0 else { throw Failure() }
  }

  deinit { for file in [descriptor, listener] where file >= 0 { close(file) } }

  func endpoint() throws -> StatusEndpoint {
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
    }
    guard code == 0 else { throw Failure() }
    return StatusEndpoint(address: name.sin_addr.s_addr, port: name.sin_port)
  }

  func accept() throws {
    descriptor = Glibc.accept(listener, nil, nil)
    guard descriptor >= 0 else { throw Failure() }
    limitTime()
  }

  private func limitTime() {
    var time = timeval(tv_sec: 0, tv_usec: 100_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
  }

  func write(_ bytes: [UInt8]) { _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  /// The bytes that have arrived, at most `count`.
  func read(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let received = recv(descriptor, &bytes, count, 0)
    return Array(bytes.prefix(max(0, received)))
  }

  /// Whether the other side has closed the connection and nothing is left to read.
  var isClosed: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, 0)
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }
}
