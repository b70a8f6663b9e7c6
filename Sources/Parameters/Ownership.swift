/// Which rank of an expert group holds which parameters: mini-MoE m belongs to expert rank ⌊m·P/M⌋ of M mini-MoEs and P
/// = `parallel.expert` ranks; every rank holds all other parameters.
///
/// Masters, gradients and optimizer state follow the ownership. The type is arithmetic only: any rank can ask about any
/// other rank.
public struct Ownership: Sendable, Equatable {
  /// Mini-MoEs of the model, M.
  public let miniMoEs: Int
  /// Ranks of an expert group, P, a divisor of M.
  public let size: Int
  /// The rank in its expert group, 0 ..< P, whose ownership this value describes.
  public let rank: Int

  public init(miniMoEs: Int, size: Int, rank: Int) {
    precondition(
      size > 0 && miniMoEs.isMultiple(of: size) && 0..<size ~= rank,
      "expert rank \(rank) of \(size), which must divide \(miniMoEs) mini-MoEs")
    self.miniMoEs = miniMoEs
    self.size = size
    self.rank = rank
  }

  /// The possible sizes of an expert group for a given number of ranks.
  public static func validSizes(ranks: Int, miniMoEs: Int) -> [Int] {
    (1...max(1, ranks)).filter { ranks.isMultiple(of: $0) && miniMoEs.isMultiple(of: $0) }
  }

  /// The global numbers of this rank's mini-MoEs.
  public var owned: Range<Int> { miniMoEs / size * rank..<miniMoEs / size * (rank + 1) }

  /// The expert rank that mini-MoE `index` belongs to.
  public func owner(ofMiniMoE index: Int) -> Int { index * size / miniMoEs }

  /// The expert rank that a parameter belongs to; nil if every rank holds it.
  public func owner(of specification: ParameterSpecification) -> Int? {
    specification.miniMoE.map(owner(ofMiniMoE:))
  }

  /// Whether this rank holds a parameter.
  public func holds(_ specification: ParameterSpecification) -> Bool {
    owner(of: specification).map { $0 == rank } ?? true
  }

  /// This rank's parameters, in the order of the table.
  public func held(in table: ParameterTable) -> [ParameterID] { table.ids.filter { holds(table[$0]) } }
}
