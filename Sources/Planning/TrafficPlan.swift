import Configuration
import Models

/// The bytes that ranks send in one optimizer step: the minimum that each operation needs.
///
/// All-reduce and all-gather use a ring of the ranks in order, so the link of a host carries each ring once for all ranks of
/// the host. Over n ranks, each rank sends 2(n − 1)/n of the bytes of an all-reduce and (n − 1)/n of an all-gather.
public struct TrafficPlan: Sendable {
  /// One use of the network.
  public struct Row: Sendable, Equatable {
    public let name: String
    /// Bytes that a rank sends.
    public let bytes: Int
    /// Bytes that a host sends over its link.
    public let linkBytes: Int
    /// Bytes that all ranks of a host send, to each other or over the link.
    public let hostBytes: Int
    /// Number of sequential messages of a rank.
    public let messages: Int
  }

  public let rows: [Row]

  /// Bytes that a rank sends in total.
  public var total: Int { rows.reduce(0) { $0 + $1.bytes } }

  /// Plans one of `ranks` ranks that trains on `tokens` tokens per step. `parallel.expert` must divide `ranks`.
  ///
  /// - Parameters:
  ///   - ranksPerHost: consecutive ranks that share a host and its link; nil means all ranks.
  ///   - microBatches: micro-batches per step.
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
    // The ranks that hold the same mini-MoEs form a ring. The number of rings through a host is its number of expert ranks.
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
    /// `passes` times around the rings, with `width` bytes per value.
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
      // Forward: tokens out and results back. Backward: the gradients of both.
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
