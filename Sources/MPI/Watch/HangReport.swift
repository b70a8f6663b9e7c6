/// Describes in one line which rank waits for which, from the last states that ranks reported.
package struct HangReport {
  package struct Observation {
    var state: RankState
    /// Seconds since the rank last sent a state.
    var silence: Double

    package init(state: RankState, silence: Double) {
      self.state = state
      self.silence = silence
    }
  }

  /// Number of ranks in the world.
  let ranks: Int
  let observed: [Int: Observation]
  /// Whether this rank hears all others. If it does, a rank that is not in `observed` has never sent a state.
  let hearsAll: Bool
  /// Seconds after which a rank counts as silent.
  static let patience = 3.0
  /// Maximum number of ranks that a line lists.
  private static let named = 4

  package init(ranks: Int, observed: [Int: Observation], hearsAll: Bool) {
    self.ranks = ranks
    self.observed = observed
    self.hearsAll = hearsAll
  }

  /// Whole seconds; 0 for a number that is not finite or too large.
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
      return (other.state.progress[waiting.communicator] ?? 0) < waiting.number
    }
  }

  /// Whether a rank makes others wait: it is silent, or in no collective itself.
  private func isCause(_ rank: Int) -> Bool { isSilent(rank) || observed[rank]?.state.waiting == nil }

  /// `rank 3: all-to-all layer 2 forward, step 41, has waited 20 s; rank 5 has not arrived, last seen sampling group
  /// 812`. Of the ranks that have waited too long, the line names the first one that waits only for ranks that wait for
  /// nobody (`isCause`). Nil if no rank has waited too long.
  package func line() -> String? {
    let expired = observed.values.filter { $0.state.isExpired && !isSilent($0.state.rank) }.map(\.state)
      .sorted { $0.rank < $1.rank }
    let cases = expired.compactMap { state in state.waiting.map { (state, $0, missing($0, of: state.rank)) } }
    guard
      let (state, waiting, missing) = cases.first(where: { !$0.2.isEmpty && $0.2.allSatisfy(isCause) })
        ?? cases.first(where: { !$0.2.isEmpty }) ?? cases.first
    else { return nil }
    let line = "rank \(state.rank): \(waiting.title), step \(state.step), has waited \(Self.whole(waiting.seconds)) s"
    return "\(line); \(missing.isEmpty ? arrived(waiting, state) : describe(missing: missing, step: state.step))"
  }

  private func describe(missing: [Int], step: Int) -> String {
    var parts = missing.prefix(Self.named).map { rank -> String in
      guard let other = observed[rank] else { return "rank \(rank) has not arrived and was never heard from" }
      let activity =
        other.state.step == step ? other.state.activity : "\(other.state.activity), step \(other.state.step)"
      return "rank \(rank) has \(silence(rank) ?? "not arrived"), last seen \(activity)"
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
        ? "all ranks have arrived; a message was lost" : "which rank has not arrived is not known"
    }
    return silent.prefix(Self.named).map { rank in
      guard let other = observed[rank] else { return "rank \(rank) was never heard from" }
      return "rank \(rank) has \(silence(rank) ?? "arrived"), last seen \(other.state.activity)"
    }.joined(separator: "; ")
  }

  /// How long a rank has been silent; nil if it is not silent. Whether a silent rank has arrived is not known.
  private func silence(_ rank: Int) -> String? {
    guard let other = observed[rank], other.silence > Self.patience else { return nil }
    return "been silent for \(Self.whole(other.silence)) s"
  }

  /// One line for each rank: what it is doing, and for how long.
  package func table() -> [String] {
    (0..<ranks).map { rank in
      guard let other = observed[rank] else {
        return "rank \(rank): \(hearsAll ? "never heard from" : "not heard by this rank")"
      }
      let state = other.state
      let seconds = (state.waiting?.seconds ?? state.phaseSeconds) + other.silence
      return
        "rank \(rank): \(state.activity), for \(Self.whole(seconds)) s, step \(state.step)\(silence(rank).map { ", has \($0)" } ?? "")"
    }
  }
}
