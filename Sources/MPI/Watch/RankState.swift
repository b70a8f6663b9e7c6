/// Where a rank is, as ranks tell each other several times a second.
package struct RankState: Sendable, Equatable {
  /// A collective under way.
  package struct Waiting: Sendable, Equatable {
    /// `all-to-all layer 2 forward`.
    package var title: String
    package var seconds: Double
    /// The communicator's number, its ranks in the world, and which of its collectives it is.
    package var communicator: UInt64
    package var members: RankRun
    package var place: UInt64

    package init(title: String, seconds: Double, communicator: UInt64, members: RankRun, place: UInt64) {
      self.title = title
      self.seconds = seconds
      self.communicator = communicator
      self.members = members
      self.place = place
    }
  }

  package var rank: Int
  package var step = 0
  /// The innermost phase; empty outside of all.
  package var phase = ""
  package var phaseSeconds = 0.0
  package var waiting: Waiting?
  /// The collectives entered so far, by communicator.
  package var progress: [UInt64: UInt64] = [:]
  /// Whether the collective is older than `parallel.timeout`.
  package var isExpired = false
  /// Whether this rank was asked (SIGQUIT) to have all ranks' places printed.
  package var wantsReport = false

  package init(rank: Int) { self.rank = rank }

  /// Where it is, in words.
  package var place: String {
    if let waiting { return "in \(waiting.title)" }
    return phase.isEmpty ? "outside of all phases" : phase
  }
}

/// What travels between the ranks' watchdogs: a fixed number of bytes, little-endian.
package struct StatusFrame: Sendable, Equatable {
  package enum Kind: UInt8 {
    case state
    /// Rank 0's order to write the record and leave.
    case end
  }

  package static let byteCount = 640
  private static let textLimit = 95

  /// Tells this run's ranks from whoever else connects.
  package var nonce: UInt64
  package var kind: Kind
  package var state: RankState

  package init(nonce: UInt64, kind: Kind = .state, state: RankState) {
    self.nonce = nonce
    self.kind = kind
    self.state = state
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    func put(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    func put(_ text: String) {
      let cut = Array(text.utf8.prefix(Self.textLimit))
      bytes.append(UInt8(cut.count))
      bytes += cut + [UInt8](repeating: 0, count: Self.textLimit - cut.count)
    }
    put(nonce)
    let flags: [Bool] = [state.waiting != nil, state.isExpired, state.wantsReport]
    put(UInt64(kind.rawValue) | flags.enumerated().reduce(0) { $0 | ($1.element ? 256 << UInt64($1.offset) : 0) })
    put(UInt64(state.rank))
    put(UInt64(bitPattern: Int64(state.step)))
    put(state.phaseSeconds.bitPattern)
    let waiting = state.waiting
    put((waiting?.seconds ?? 0).bitPattern)
    put(waiting?.communicator ?? 0)
    put(waiting?.place ?? 0)
    let members = waiting?.members ?? .none
    for value in [members.first, members.stride, members.count] { put(UInt64(UInt32(bitPattern: value))) }
    put(state.phase)
    put(waiting?.title ?? "")
    let progress = state.progress.sorted { $0.key < $1.key }.prefix(RecorderState.communicatorLimit)
    for entry in progress {
      put(entry.key)
      put(entry.value)
    }
    return bytes + [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
  }

  /// Nil where the bytes are no frame of this run.
  package init?(_ bytes: [UInt8], nonce expected: UInt64) {
    guard bytes.count == Self.byteCount else { return nil }
    var position = 0
    func number() -> UInt64 {
      defer { position += 8 }
      return (0..<8).reduce(0) { $0 | UInt64(bytes[position + $1]) << UInt64(8 * $1) }
    }
    func text() -> String {
      defer { position += 1 + Self.textLimit }
      let count = min(Int(bytes[position]), Self.textLimit)
      return String(decoding: bytes[position + 1..<position + 1 + count], as: UTF8.self)
    }
    nonce = number()
    let flags = number()
    let rank = number()
    guard nonce == expected, let kind = Kind(rawValue: UInt8(flags & 255)), rank < UInt64(Int32.max) else { return nil }
    self.kind = kind
    state = RankState(rank: Int(rank))
    state.step = Int(Int64(bitPattern: number()))
    state.phaseSeconds = Double(bitPattern: number())
    let seconds = Double(bitPattern: number())
    let (communicator, place) = (number(), number())
    let run = (0..<3).map { _ in Int32(truncatingIfNeeded: number()) }
    guard run[2] >= 0, run[2] <= 1 << 20 else { return nil }
    state.phase = text()
    let title = text()
    if flags & 256 != 0 {
      state.waiting = RankState.Waiting(
        title: title, seconds: seconds, communicator: communicator,
        members: RankRun(first: run[0], stride: run[1], count: run[2]), place: place)
    }
    state.isExpired = flags & 512 != 0
    state.wantsReport = flags & 1024 != 0
    for _ in 0..<RecorderState.communicatorLimit {
      let (key, value) = (number(), number())
      if key != 0 { state.progress[key] = value }
    }
  }
}

extension FlightRecorder {
  /// Where this rank is now.
  static func rankState(rank: Int) -> RankState {
    var result = RankState(rank: rank)
    let (now, collective, phase) = state.withLock { state -> (UInt64, FlightEvent?, FlightEvent?) in
      result.step = state.step
      for place in 0..<RecorderState.communicatorLimit where state.progress[place].communicator != 0 {
        result.progress[state.progress[place].communicator] = state.progress[place].entered
      }
      let waiting = (0..<state.laneCount).filter { state.lanes[$0].nesting > 0 }
        .map { state.lanes[$0].collective }.min { $0.start < $1.start }
      return (clock(), waiting, state.mainPhase)
    }
    if let phase, phase.label.isPlace {
      result.phase = phase.label.text
      result.phaseSeconds = seconds(from: phase.start, to: now)
    }
    if let collective {
      result.waiting = RankState.Waiting(
        title: collective.title, seconds: seconds(from: collective.start, to: now),
        communicator: collective.communicator, members: collective.members, place: collective.place)
    }
    return result
  }

  static func seconds(from start: UInt64, to end: UInt64) -> Double { Double(end &- start) / 1e9 }
}
