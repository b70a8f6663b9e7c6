import Formats
import Layers

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

  package init(_ loads: RoutingLoads) {
    func row(_ start: UnsafeMutablePointer<Int64>, _ count: Int) -> [Int] {
      UnsafeBufferPointer(start: start, count: count).map { Int($0) }
    }
    miniMoEs = (0..<loads.layers).map { row(loads.layer($0), loads.miniMoEs) }
    experts = (0..<loads.miniMoEs).map { row(loads.experts($0), loads.experts) }
    microAgents = (0..<loads.miniMoEs).map { row(loads.micros($0), loads.micros) }
  }
}
