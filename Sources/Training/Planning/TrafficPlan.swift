import Models

/// What one rank sends in one optimizer step, in bytes, by the least that each operation needs.
public struct TrafficPlan: Sendable {
  /// One use of the network.
  public struct Row: Sendable, Equatable {
    public let name: String
    public let bytes: Int
  }

  public let rows: [Row]

  /// All rows together.
  public var total: Int { rows.reduce(0) { $0 + $1.bytes } }

  /// Plans a rank of `ranks`, which `parallel.expert` must divide, that trains on `tokens` tokens a step.
  ///
  /// A sum over n ranks costs each 2(n − 1)/n of its bytes, a gathering (n − 1)/n.
  public init(_ configuration: RunConfiguration, _ parameters: ParameterPlan, ranks: Int, tokens: Int) {
    let groups = max(1, configuration.parallel.expert)
    let replicated = Double(parameters.storeCount - parameters.councilStoreCount)
    let council = Double(parameters.councilStoreCount) / Double(groups)
    let (world, data) = (Double(ranks), Double(max(1, ranks / groups)))
    func share(_ bytes: Double) -> Double {
      replicated * bytes * (world - 1) / world + council * bytes * (data - 1) / data
    }
    var rows: [Row] = []
    func add(_ name: String, _ bytes: Double) {
      if bytes > 0 { rows.append(Row(name: name, bytes: bytes < 9e18 ? Int(bytes) : .max)) }
    }
    add("sum of gradients", 2 * share(configuration.parallel.reproducible ? 8 : 4))
    if configuration.optimizer.shard { add("updated masters", share(4)) }
    if groups > 1 {
      let model = configuration.model
      let remote = Double(groups - 1) / Double(groups)
      // Tokens out and results back, then the gradients of both.
      add(
        "routed tokens and their gradients",
        16 * remote * Double(tokens) * Double(model.numLayers * model.miniMoeTopK) * Double(model.dim))
      let packed = parameters.components.first { $0.component == "mini_moes" }?.packedBytes ?? 0
      add("policy replica", remote * Double(packed) / Double(configuration.rl.oldPolicyInterval))
    }
    self.rows = rows
  }
}
