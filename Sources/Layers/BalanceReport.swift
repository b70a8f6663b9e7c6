import Tensors

/// Collects L_aux and the routing loads of a micro-batch, for every sequence and every router.
///
/// Parts are kept per mini-MoE and added in mini-MoE order, so the sum does not depend on threads or placement.
public final class BalanceReport: @unchecked Sendable {
  public let terms: BalanceTerms
  /// The sequence of each token of the micro-batch.
  let sequence: UnsafeMutablePointer<Int32>
  private let sequenceBuffer: AlignedBuffer<Int32>
  private let parts: AlignedBuffer<Double>
  private let loads: RoutingLoads?
  private let levels: Int
  /// Nil in one that counts nothing itself.
  private let quiet: BalanceReport?

  /// - Parameter loads: where slots are counted; nil when a layer is recomputed or loads are not wanted.
  public init(terms: BalanceTerms, sequenceOfToken: [Int32], members: Int, loads: RoutingLoads?) {
    self.terms = terms
    sequenceBuffer = AlignedBuffer(count: sequenceOfToken.count)
    for (index, value) in sequenceOfToken.enumerated() { sequenceBuffer.pointer[index] = value }
    sequence = sequenceBuffer.pointer
    levels = 1 + members
    parts = AlignedBuffer(count: loads == nil ? 0 : levels * terms.sequences)
    self.loads = loads
    quiet = loads == nil ? nil : BalanceReport(terms, sequenceBuffer, levels)
  }

  /// One that counts nothing.
  private init(_ terms: BalanceTerms, _ sequence: AlignedBuffer<Int32>, _ levels: Int) {
    self.terms = terms
    sequenceBuffer = sequence
    self.sequence = sequence.pointer
    self.levels = levels
    parts = AlignedBuffer(count: 0)
    loads = nil
    quiet = nil
  }

  /// The same micro-batch again, counting nothing: for recomputation.
  public var silent: BalanceReport { quiet ?? self }

  /// Whether anything is counted.
  var counts: Bool { loads != nil }

  func values(level: Int) -> UnsafeMutablePointer<Double>? {
    loads == nil ? nil : parts.pointer + level * terms.sequences
  }
  func layerLoads(_ layer: Int) -> UnsafeMutablePointer<Int64>? { loads.map { $0.layer(layer) } }
  func expertLoads(_ member: Int) -> UnsafeMutablePointer<Int64>? { loads.map { $0.experts(member) } }
  func microLoads(_ member: Int) -> UnsafeMutablePointer<Int64>? { loads.map { $0.micros(member) } }

  /// L_aux of each sequence.
  public var auxiliaryLosses: [Double] {
    (0..<terms.sequences).map { index in
      loads == nil ? 0 : (0..<levels).reduce(0.0) { $0 + parts.pointer[$1 * terms.sequences + index] }
    }
  }
}

/// How often each router chose each of its choices, as integers: layers first, then mini-MoEs' experts, then their
/// micro agents, in one block that ranks can add.
public final class RoutingLoads: @unchecked Sendable {
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

  public func layer(_ index: Int) -> UnsafeMutablePointer<Int64> { counts.pointer + index * miniMoEs }
  public func experts(_ member: Int) -> UnsafeMutablePointer<Int64> {
    counts.pointer + layers * miniMoEs + member * experts
  }
  public func micros(_ member: Int) -> UnsafeMutablePointer<Int64> {
    counts.pointer + layers * miniMoEs + miniMoEs * experts + member * micros
  }
  public func clear() { counts.clear() }
}
