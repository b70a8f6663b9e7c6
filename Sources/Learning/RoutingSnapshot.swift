import Formats
import Layers

/// How many slots chose each target of the routers in one step, over all ranks, as plain numbers.
public struct RoutingSnapshot: Sendable, Equatable {
  /// [layer][mini-MoE]
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

  package init(_ loads: RoutingLoads) {
    miniMoEs = (0..<loads.layers).map { loads.layer($0).map { Int($0) } }
    experts = (0..<loads.miniMoEs).map { loads.experts($0).map { Int($0) } }
    microAgents = (0..<loads.miniMoEs).map { loads.micros($0).map { Int($0) } }
  }
}
