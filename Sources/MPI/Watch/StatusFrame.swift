import Telemetry

/// A message between the ranks' watchdogs: a fixed number of bytes, little-endian.
package struct StatusFrame: Sendable, Equatable {
  package enum Kind: UInt8, Sendable {
    case state
    /// Rank 0's order to write the flight record and exit.
    case end
  }

  package static let byteCount = 632
  private static let textLimit = 95
  /// Seconds that a 64-bit clock of nanoseconds can count.
  private static let times = 0...Double(UInt64.max) / 1e9

  package var kind: Kind
  package var state: RankState

  package init(kind: Kind = .state, state: RankState) {
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
    let flags: [Bool] = [state.waiting != nil, state.isExpired, state.wantsReport]
    put(UInt64(kind.rawValue) | flags.enumerated().reduce(0) { $0 | ($1.element ? 256 << UInt64($1.offset) : 0) })
    put(UInt64(state.rank))
    put(UInt64(bitPattern: Int64(state.step)))
    put(state.phaseSeconds.bitPattern)
    let waiting = state.waiting
    put((waiting?.seconds ?? 0).bitPattern)
    put(waiting?.communicator ?? 0)
    put(waiting?.number ?? 0)
    let members = waiting?.members ?? .none
    for value in [members.first, members.stride, members.count] { put(UInt64(UInt32(bitPattern: value))) }
    put(state.phase)
    put(waiting?.title ?? "")
    let progress = state.progress.sorted { $0.key < $1.key }.prefix(FlightRecorder.communicatorLimit)
    for entry in progress {
      put(entry.key)
      put(entry.value)
    }
    return bytes + [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
  }

  /// Decodes a frame; nil if the value of a field is not possible in a run of `ranks` ranks. Control characters in
  /// texts are escaped.
  package init?(_ bytes: [UInt8], ranks: Int) {
    guard bytes.count == Self.byteCount else { return nil }
    var position = 0
    func number() -> UInt64 {
      defer { position += 8 }
      return (0..<8).reduce(0) { $0 | UInt64(bytes[position + $1]) << UInt64(8 * $1) }
    }
    func text() -> String? {
      defer { position += 1 + Self.textLimit }
      let count = Int(bytes[position])
      guard count <= Self.textLimit else { return nil }
      return PlainText.escaped(String(decoding: bytes[position + 1..<position + 1 + count], as: UTF8.self))
    }
    let flags = number()
    guard flags < 256 << 3, let kind = Kind(rawValue: UInt8(flags & 255)), let rank = Int(exactly: number()),
      rank < ranks, let step = Int(exactly: number())
    else { return nil }
    let (phaseSeconds, seconds) = (Double(bitPattern: number()), Double(bitPattern: number()))
    guard Self.times.contains(phaseSeconds), Self.times.contains(seconds) else { return nil }
    let (communicator, collective) = (number(), number())
    let members = (0..<3).compactMap { _ in Int32(exactly: number()) }
    guard members.count == 3, Self.areRanks(members.map(Int.init), of: ranks), let phase = text(), let title = text()
    else {
      return nil
    }
    self.kind = kind
    state = RankState(rank: rank)
    state.step = step
    state.phaseSeconds = phaseSeconds
    state.phase = phase
    if flags & 256 != 0 {
      state.waiting = RankState.Waiting(
        title: title, seconds: seconds, communicator: communicator,
        members: StridedRanks(first: members[0], stride: members[1], count: members[2]), number: collective)
    }
    state.isExpired = flags & 512 != 0
    state.wantsReport = flags & 1024 != 0
    for _ in 0..<FlightRecorder.communicatorLimit {
      let (key, value) = (number(), number())
      if key != 0 { state.progress[key] = value }
    }
  }

  /// Whether first, stride and count describe different ranks of the world, or none.
  private static func areRanks(_ members: [Int], of ranks: Int) -> Bool {
    let (first, stride, count) = (members[0], members[1], members[2])
    return count == 0 || (count <= ranks && stride > 0 && stride <= ranks && first + stride * (count - 1) < ranks)
  }
}
