import Layers
import Rollouts

/// How often each choice was taken in one step, over all ranks, as plain numbers.
public struct RoutingSnapshot: Sendable, Equatable {
  /// [layer][mini-MoE], routed slots.
  public let miniMoEs: [[Int]]
  /// [mini-MoE][expert]
  public let experts: [[Int]]
  /// [mini-MoE][micro agent]
  public let microAgents: [[Int]]

  public init(miniMoEs: [[Int]], experts: [[Int]], microAgents: [[Int]]) {
    self.miniMoEs = miniMoEs
    self.experts = experts
    self.microAgents = microAgents
  }

  init(_ loads: RoutingLoads) {
    miniMoEs = (0..<loads.layers).map { loads.layer($0).map { Int($0) } }
    experts = (0..<loads.miniMoEs).map { loads.experts($0).map { Int($0) } }
    microAgents = (0..<loads.miniMoEs).map { loads.micros($0).map { Int($0) } }
  }

  /// The member `loads` of a line of metrics: slots of mini-MoEs by layer and of experts by mini-MoE, and the share of
  /// each mini-MoE's micro agents that were chosen at all.
  var json: JSONValue {
    func rows(_ values: [[Int]]) -> JSONValue { .list(values.map { .list($0.map(JSONValue.integer)) }) }
    return .object([
      "mini_moes": rows(miniMoEs), "experts": rows(experts),
      "micro_agents_used": .list(
        microAgents.map { .number(Double($0.count { $0 > 0 }) / Double(max(1, $0.count))) }),
    ])
  }
}
