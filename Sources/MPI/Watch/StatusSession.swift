/// One connection of the status channel, on either side, without its socket. First both sides prove that they know the
/// run's secret; then frames travel.
///
/// ```
/// rank 0 → rank r   "quillan" 2, 16 random bytes
/// rank r → rank 0   r, 16 random bytes, tag of both challenges and r
/// rank 0 → rank r   tag of both challenges and r
/// both              frames, each with a tag of its number in the connection and its bytes
/// ```
///
/// Before the proofs, rank 0 sends only the random bytes, and rank r only its number. The tags of the two sides and of
/// the two directions differ, and the keys of frames belong to one connection, so recorded messages cannot be used
/// again. Unexpected bytes end the connection.
package struct StatusSession {
  package enum Stage: Sendable, Equatable {
    case proving
    case open
    case refused
  }

  private enum Side {
    case hub
    case link
  }

  private static let magic: [UInt8] = Array("quillan".utf8) + [2]
  private static let challengeSize = 16
  private static let sealedFrame = StatusFrame.byteCount + SHA256.byteCount

  private let side: Side
  private let key: StatusKey
  private let ranks: Int
  private let challenge = StatusKey.randomBytes(challengeSize)
  private var received: [UInt8] = []
  private var incoming: StatusKey?
  private var outgoing: StatusKey?
  private var receivedFrames: UInt64 = 0
  private var sentFrames: UInt64 = 0
  /// The challenges, while the link waits for rank 0's proof.
  private var said: (theirs: [UInt8], own: [UInt8])?
  package private(set) var stage = Stage.proving
  /// The rank of the other side, proved once the stage is `open`.
  package private(set) var rank: Int?
  private let ownRank: Int

  /// Rank 0's side. `ranks` is the number of ranks in the world.
  package static func hub(_ key: StatusKey, ranks: Int) -> StatusSession {
    StatusSession(side: .hub, key: key, ranks: ranks, ownRank: 0)
  }

  /// Another rank's side.
  package static func link(_ key: StatusKey, rank: Int, ranks: Int) -> StatusSession {
    StatusSession(side: .link, key: key, ranks: ranks, ownRank: rank)
  }

  private init(side: Side, key: StatusKey, ranks: Int, ownRank: Int) {
    self.side = side
    self.key = key
    self.ranks = ranks
    self.ownRank = ownRank
  }

  /// The bytes to send before any have arrived.
  package var greeting: [UInt8] { side == .hub ? Self.magic + challenge : [] }

  /// Processes bytes that have arrived; returns the bytes to send in answer, and the complete frames.
  package mutating func receive(_ bytes: [UInt8]) -> (answer: [UInt8], frames: [StatusFrame]) {
    received += bytes
    var answer: [UInt8] = []
    var frames: [StatusFrame] = []
    while stage != .refused, received.count >= expected {
      let message = Array(received.prefix(expected))
      received.removeFirst(expected)
      if stage == .open {
        if let frame = opened(message) { frames.append(frame) } else { stage = .refused }
      } else {
        answer += side == .hub ? judge(message) : answered(message)
      }
    }
    if stage == .refused { received = [] }
    return (answer, frames)
  }

  /// Length of the next message in bytes.
  private var expected: Int {
    switch (stage, side) {
    case (.open, _): Self.sealedFrame
    case (_, .hub): 8 + Self.challengeSize + SHA256.byteCount
    case (_, .link): said == nil ? Self.magic.count + Self.challengeSize : SHA256.byteCount
    }
  }

  /// Rank 0 checks another rank's proof and returns its own.
  private mutating func judge(_ message: [UInt8]) -> [UInt8] {
    let (name, theirs) = (Array(message.prefix(8)), Array(message[8..<8 + Self.challengeSize]))
    let number = name.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let proof = key.tag("rank", challenge, theirs, name)
    guard StatusKey.matches(Array(message.suffix(SHA256.byteCount)), proof), number > 0, number < UInt64(ranks) else {
      stage = .refused
      return []
    }
    rank = Int(number)
    begin(of: challenge, theirs, name)
    return key.tag("rank 0", challenge, theirs, name)
  }

  /// Another rank answers rank 0's challenge, or checks rank 0's proof.
  private mutating func answered(_ message: [UInt8]) -> [UInt8] {
    let name = Self.bytes(UInt64(ownRank))
    if let said {
      guard StatusKey.matches(message, key.tag("rank 0", said.theirs, said.own, name)) else {
        stage = .refused
        return []
      }
      rank = 0
      begin(of: said.theirs, said.own, name)
      return []
    }
    guard Array(message.prefix(Self.magic.count)) == Self.magic else {
      stage = .refused
      return []
    }
    let theirs = Array(message.suffix(Self.challengeSize))
    said = (theirs, challenge)
    return name + challenge + key.tag("rank", theirs, challenge, name)
  }

  private mutating func begin(of hub: [UInt8], _ link: [UInt8], _ name: [UInt8]) {
    let fromHub = StatusKey(key.tag("frames of rank 0", hub, link, name))
    let fromLink = StatusKey(key.tag("frames of rank", hub, link, name))
    (incoming, outgoing) = side == .hub ? (fromLink, fromHub) : (fromHub, fromLink)
    stage = .open
  }

  /// The frame of a message; nil if its tag is wrong or a field is not possible.
  private mutating func opened(_ message: [UInt8]) -> StatusFrame? {
    let (body, tag) = (Array(message.prefix(StatusFrame.byteCount)), Array(message.suffix(SHA256.byteCount)))
    guard let incoming, StatusKey.matches(tag, incoming.tag("frame", Self.bytes(receivedFrames), body)),
      let frame = StatusFrame(body, ranks: ranks), frame.state.rank == rank
    else { return nil }
    receivedFrames += 1
    return frame
  }

  /// The bytes of the next frame to send; nil before the stage is `open`. Call `isSent` after sending them.
  package func sealed(_ frame: StatusFrame) -> [UInt8]? {
    guard stage == .open, let outgoing else { return nil }
    let body = frame.bytes
    return body + outgoing.tag("frame", Self.bytes(sentFrames), body)
  }

  package mutating func isSent() { sentFrames += 1 }

  private static func bytes(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }
}
