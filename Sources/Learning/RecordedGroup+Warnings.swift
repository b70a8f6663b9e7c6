import Rollouts

extension RecordedGroup {
  /// The rewards of the scored trajectories.
  private var rewards: [Double] { trajectories.compactMap(\.reward) }

  /// Warnings about recorded groups without an advantage, one line each.
  package static func warnings(about groups: [RecordedGroup]) -> [String] {
    var lines: [String] = []
    let single = groups.filter { $0.rewards.count == 1 }
    if let first = single.first {
      lines.append(
        "\(single.count) of \(groups.count) recorded groups (the first: \(first.origin)) have a single trajectory with "
          + "a reward, so its advantage is 0; record at least 2 per question")
    }
    if single.count < groups.count, groups.allSatisfy({ $0.rewards.allSatisfy { $0 == groups[0].rewards.first } }) {
      lines.append("all recorded rewards are equal, so every advantage is 0; record groups with different rewards")
    }
    return lines
  }
}
