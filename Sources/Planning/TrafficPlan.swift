import Configuration
import Models

/// What ranks send in one optimizer step, in bytes, by the least that each operation needs.
///
/// Sums and gatherings go round a ring of the ranks in their order, so a host's link carries them once for all of its
/// ranks that are in the ring. A sum over n ranks costs each 2(n − 1)/n of its bytes, a gathering (n − 1)/n.
public struct TrafficPlan: Sendable {
  /// One use of the network.
  public struct Row: Sendable, Equatable {
    public let name: String
    /// What a rank sends.
    public let bytes: Int
    /// What a host sends over its link.
    public let linkBytes: Int
    /// What all ranks of a host send, to each other or over the link.
    public let hostBytes: Int
    /// Messages of a rank that wait for each other.
    public let messages: Int
  }

  public let rows: [Row]

  /// Bytes that a rank sends, all rows together.
  public var total: Int { rows.reduce(0) { $0 + $1.bytes } }

  /// Plans a rank of `ranks`, which `parallel.expert` must divide, that trains on `tokens` tokens a step.
  ///
  /// - Parameters:
  ///   - ranksPerHost: consecutive ranks that share a host, and its link; nil: all.
  ///   - microBatches: of a step.
  public init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, ranks: Int, ranksPerHost: Int? = nil, tokens: Int,
    microBatches: Int = 1
  ) {
    let local = min(ranks, ranksPerHost ?? ranks)
    let group = max(1, configuration.parallel.expert)
    let (model, interval) = (configuration.model, configuration.rl.oldPolicyInterval)
    let replicated = Double(parameters.storeCount - parameters.councilStoreCount)
    let council = Double(parameters.councilStoreCount) / Double(group)
    let packed = parameters.components.first { $0.component == "mini_moes" }?.packedBytes ?? 0
    let isSpread = ranks > local
    // The ranks that hold the same mini-MoEs are a ring; as many rings pass through a host as it has expert ranks.
    let (data, rings) = (max(1, ranks / group), min(group, local))
    var rows: [Row] = []
    func add(_ name: String, rank: Double, link: Double, messages: Int) {
      guard rank > 0 else { return }
      func whole(_ value: Double) -> Int { value < 9e18 ? Int(value) : .max }
      rows.append(
        Row(
          name: name, bytes: whole(rank), linkBytes: whole(link), hostBytes: whole(rank * Double(local)),
          messages: messages))
    }
    /// `passes` times round the rings, with `width` bytes a value.
    func addRings(_ name: String, passes: Double, width: Double) {
      func share(_ bytes: Double, _ ranks: Int) -> Double { passes * bytes * width * Double(ranks - 1) / Double(ranks) }
      let (all, own) = (share(replicated, ranks), share(council, data))
      add(
        name, rank: all + own, link: isSpread ? all + own * Double(rings) : 0,
        messages: Int(passes) * ((ranks - 1) + (group > 1 ? data - 1 : 0)))
    }
    addRings("sum of gradients", passes: 2, width: configuration.parallel.reproducible ? 8 : 4)
    if configuration.optimizer.shard { addRings("updated masters", passes: 1, width: 4) }
    if group > 1 {
      let others = Double(group - 1)
      // Tokens out and results back, then the gradients of both.
      let routed =
        16 * others / Double(group) * Double(tokens) * Double(model.numLayers * model.miniMoeTopK) * Double(model.dim)
      let crossing = Double(max(0, group - local)) / others
      add(
        "routed tokens and their gradients", rank: routed, link: routed * crossing * Double(local),
        messages: 5 * model.numLayers * microBatches * (group - 1))
      let replica = others / Double(group) * Double(packed) / Double(interval)
      add(
        "policy replica", rank: replica, link: group > local ? replica : 0,
        messages: model.numMiniMoes / group * (group - 1))
    }
    self.rows = rows
  }
}
