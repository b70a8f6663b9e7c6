import Tensors

/// Collects L_aux and the routing loads of a micro-batch, for every sequence and every router.
///
/// Contributions are kept per mini-MoE and added in mini-MoE order, so the sum does not depend on threads or placement.
/// They are in an arena's memory, which no copy may outlive; copies share the same contributions.
public struct BalanceReport: Sendable {
  public let terms: BalanceTerms
  /// The sequence of each token of the micro-batch.
  let sequence: ArrayView<Int32>
  /// For each sequence, one value per level: the routers of the layers, then each mini-MoE.
  private let parts: ArrayView<Double>
  private let levels: Int
  /// Nil if the report counts nothing.
  private var loads: RoutingLoads?

  /// - Parameters:
  ///   - terms: the sequences, whose tokens are consecutive in the micro-batch.
  ///   - loads: counters of routed slots; nil if neither loads nor L_aux are wanted.
  public init(terms: BalanceTerms, members: Int, loads: RoutingLoads?, in arena: Arena) {
    self.terms = terms
    sequence = arena.view(Int32.self, terms.lengths.reduce(0, +))
    var first = 0
    for (index, length) in terms.lengths.enumerated() {
      sequence.part(first..<first + length).fill(Int32(index))
      first += length
    }
    levels = 1 + members
    parts = arena.view(repeating: 0, count: levels * terms.sequences)
    self.loads = loads
  }

  /// A report of the same micro-batch that counts nothing, for recomputation.
  public var silent: BalanceReport {
    var report = self
    report.loads = nil
    return report
  }

  /// Whether anything is counted.
  var counts: Bool { loads != nil }

  func values(level: Int) -> ArrayView<Double>? {
    loads == nil ? nil : parts.part(level * terms.sequences..<(level + 1) * terms.sequences)
  }
  func layerLoads(_ layer: Int) -> ArrayView<Int64>? { loads.map { $0.layer(layer) } }
  func expertLoads(_ member: Int) -> ArrayView<Int64>? { loads.map { $0.experts(member) } }
  func microLoads(_ member: Int) -> ArrayView<Int64>? { loads.map { $0.micros(member) } }

  /// L_aux of a sequence; 0 if the report counts nothing.
  public func auxiliaryLoss(_ sequence: Int) -> Double {
    loads == nil ? 0 : (0..<levels).reduce(0.0) { $0 + parts[$1 * terms.sequences + sequence] }
  }
}

/// How often each router chose each of its choices, as integers: the routers of the layers first, then the expert
/// routers of the mini-MoEs, then their micro-agent routers, in one block that can be all-reduced.
public final class RoutingLoads: Sendable {
  public let layers: Int
  public let miniMoEs: Int
  public let experts: Int
  public let micros: Int
  public let counts: AlignedBuffer<Int64>

  public init(layers: Int, miniMoEs: Int, experts: Int, micros: Int) {
    self.layers = layers
    self.miniMoEs = miniMoEs
    self.experts = experts
    self.micros = micros
    counts = AlignedBuffer(count: layers * miniMoEs + miniMoEs * (experts + micros))
  }

  /// Loads of the router of one layer [mini-MoEs].
  public func layer(_ index: Int) -> ArrayView<Int64> { part(index * miniMoEs, miniMoEs) }
  /// Loads of the expert router of one mini-MoE [experts].
  public func experts(_ member: Int) -> ArrayView<Int64> { part(layers * miniMoEs + member * experts, experts) }
  /// Loads of the micro-agent router of one mini-MoE [micro agents].
  public func micros(_ member: Int) -> ArrayView<Int64> {
    part(layers * miniMoEs + miniMoEs * experts + member * micros, micros)
  }

  private func part(_ first: Int, _ count: Int) -> ArrayView<Int64> { counts.view.part(first..<first + count) }
  public func clear() { counts.clear() }
}
