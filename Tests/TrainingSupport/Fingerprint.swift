import MPI
import Parameters
import Rollouts
import Training

/// A hash of bits (FNV-1a over 64-bit words).
package struct Fingerprint: Equatable {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  package init() {}

  package var value: Int64 { Int64(bitPattern: state) }

  package mutating func add(_ word: UInt64) {
    state = (state ^ word) &* 0x100_0000_01b3
    state ^= state >> 29
  }

  package mutating func add(_ group: TrajectoryGroup) {
    add(group.id)
    for reward in group.rewards { add(reward.bitPattern) }
    for trajectory in group.trajectories {
      add(trajectory.id)
      add(trajectory.promptID)
      for token in trajectory.tokens { add(UInt64(bitPattern: Int64(token))) }
      for flag in trajectory.mask { add(flag ? 1 : 0) }
      for byte in trajectory.latents { add(UInt64(byte)) }
      for value in trajectory.logProbabilities { add(UInt64(value.bitPattern)) }
      add(trajectory.finished ? 1 : 0)
    }
  }

  package static func of(_ store: ParameterStore) -> Fingerprint {
    var result = Fingerprint()
    for id in store.held { for value in store.values(id) { result.add(UInt64(value.bitPattern)) } }
    return result
  }

  /// The hashes of weights and moments of every tensor, from the ranks of the expert group that hold them. Collective.
  package static func of(_ learner: Learner) throws -> [Int64] {
    let stores = [learner.masters, learner.firstMoments.values, learner.secondMoments.values].compactMap { $0 }
    let own = stores.flatMap { store in
      store.table.ids.map { id -> Int64 in
        guard store.holds(id) else { return .min }
        var result = Fingerprint()
        for value in store.values(id) { result.add(UInt64(value.bitPattern)) }
        return result.value
      }
    }
    return try learner.topology.expertGroup.allReduce(own, .maximum)
  }
}

extension Dictionary where Key == String, Value == Double {
  /// The bits of all metrics except times, transferred bytes, memory and `names`.
  package func bits(without names: Set<String> = []) -> [String: UInt64] {
    let times = ["step_time", "tokens_per_second", "memory/peak_bytes", "reward/wait"]
    return filter {
      !$0.key.hasPrefix("publication/") && !names.contains($0.key) && !times.contains($0.key)
        && !$0.key.hasPrefix("time/")
    }
    .mapValues(\.bitPattern)
  }
}
