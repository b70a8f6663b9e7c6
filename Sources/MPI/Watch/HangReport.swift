/// Says in one line who waits for whom, from what ranks last told about themselves.
package struct HangReport {
  package struct Observation {
    var state: RankState
    /// Seconds since the rank last said something.
    var silence: Double

    package init(state: RankState, silence: Double) {
      self.state = state
      self.silence = silence
    }
  }

  /// The number of ranks in the world.
  let ranks: Int
  let observed: [Int: Observation]
  /// Whether a rank that is not among `observed` has never said anything; otherwise this rank just does not hear it.
  let hearsAll: Bool
  /// Seconds after which a rank counts as silent.
  static let patience = 3.0
  /// Ranks that a line names one by one.
  private static let named = 4

  package init(ranks: Int, observed: [Int: Observation], hearsAll: Bool) {
    self.ranks = ranks
    self.observed = observed
    self.hearsAll = hearsAll
  }

  /// Whole seconds, whatever the number.
  private static func whole(_ seconds: Double) -> Int { Int(exactly: seconds.rounded(.down)) ?? 0 }

  private func isSilent(_ rank: Int) -> Bool {
    observed[rank].map { $0.silence > Self.patience } ?? hearsAll
  }

  /// The ranks of a collective that have not entered it.
  private func missing(_ waiting: RankState.Waiting, of rank: Int) -> [Int] {
    let members =
      waiting.members.count > 0
      ? waiting.members.ranks : observed.keys.filter { observed[$0]?.state.progress[waiting.communicator] != nil }
    return members.sorted().filter { member in
      guard member != rank else { return false }
      guard let other = observed[member] else { return hearsAll }
      return (other.state.progress[waiting.communicator] ?? 0) < waiting.place
    }
  }

  /// Whether a rank is a cause of others' waiting: it is silent, or in no collective itself.
  private func isCause(_ rank: Int) -> Bool { isSilent(rank) || observed[rank]?.state.waiting == nil }

  /// `rank 3: all-to-all layer 2 forward, step 41, has waited 20 s; rank 5 has not arrived, last seen sampling group 812`:
  /// of the ranks that have waited for too long, the first that waits for a cause only. Nil where none waits too long.
  package func line() -> String? {
    let expired = observed.values.filter { $0.state.isExpired && !isSilent($0.state.rank) }.map(\.state)
      .sorted { $0.rank < $1.rank }
    let cases = expired.compactMap { state in state.waiting.map { (state, $0, missing($0, of: state.rank)) } }
    guard
      let (state, waiting, absentees) = cases.first(where: { !$0.2.isEmpty && $0.2.allSatisfy(isCause) })
        ?? cases.first(where: { !$0.2.isEmpty }) ?? cases.first
    else { return nil }
    let line = "rank \(state.rank): \(waiting.title), step \(state.step), has waited \(Self.whole(waiting.seconds)) s"
    return "\(line); \(absentees.isEmpty ? arrived(waiting, state) : absent(absentees, step: state.step))"
  }

  private func absent(_ missing: [Int], step: Int) -> String {
    var parts = missing.prefix(Self.named).map { rank -> String in
      guard let other = observed[rank] else { return "rank \(rank) has not arrived and was never heard from" }
      let place = other.state.step == step ? other.state.place : "\(other.state.place), step \(other.state.step)"
      return "rank \(rank) has \(silence(rank) ?? "not arrived"), last seen \(place)"
    }
    let more = missing.count - parts.count
    if more > 0 { parts.append("\(more) more rank\(more == 1 ? " has" : "s have") not arrived") }
    return parts.joined(separator: "; ")
  }

  private func arrived(_ waiting: RankState.Waiting, _ state: RankState) -> String {
    let others = (waiting.members.count > 0 ? waiting.members.ranks : observed.keys.sorted())
      .filter { $0 != state.rank }
    let silent = others.filter(isSilent)
    guard !silent.isEmpty else {
      return hearsAll
        ? "all its ranks have arrived; a message was lost" : "it is not known which of its ranks has not arrived"
    }
    return silent.prefix(Self.named).map { rank in
      guard let other = observed[rank] else { return "rank \(rank) was never heard from" }
      return "rank \(rank) has \(silence(rank) ?? "arrived"), last seen \(other.state.place)"
    }.joined(separator: "; ")
  }

  /// For a rank that is silent, how long it `has …`; whether it has arrived since it was last heard is not known.
  private func silence(_ rank: Int) -> String? {
    guard let other = observed[rank], other.silence > Self.patience else { return nil }
    return "been silent for \(Self.whole(other.silence)) s"
  }

  /// A line for each rank: where it is, and for how long.
  package func table() -> [String] {
    (0..<ranks).map { rank in
      guard let other = observed[rank] else {
        return "rank \(rank): \(hearsAll ? "never heard from" : "not heard by this rank")"
      }
      let state = other.state
      let seconds = (state.waiting?.seconds ?? state.phaseSeconds) + other.silence
      return
        "rank \(rank): \(state.place), for \(Self.whole(seconds)) s, step \(state.step)\(silence(rank).map { ", has \($0)" } ?? "")"
    }
  }
}
