import Parameters
import TestSupport
import Testing

@Suite struct OwnershipTests {
  @Test("Every mini-MoE belongs to one rank of a group, in even runs, and everything else to all")
  func coverage() throws {
    let table = try TinyModel(seed: 1) { $0.numMiniMoes = 8 }.model.table
    for size in [1, 2, 4, 8] {
      let ranks = (0..<size).map { Ownership(miniMoEs: 8, size: size, rank: $0) }
      #expect(ranks.flatMap { Array($0.owned) } == Array(0..<8))
      #expect(Set(ranks.map(\.owned.count)) == [8 / size])
      for (rank, ownership) in ranks.enumerated() {
        for index in ownership.owned { #expect(ownership.owner(ofMiniMoE: index) == rank) }
      }
      for id in table.ids {
        let holders = ranks.count { $0.holds(table[id]) }
        #expect(holders == (table[id].name.hasPrefix("mini_moes.") ? 1 : size), "\(table[id].name)")
      }
    }
  }

  @Test("The sizes of a group divide the ranks and the mini-MoEs")
  func sizes() {
    #expect(Ownership.validSizes(ranks: 4, miniMoEs: 32) == [1, 2, 4])
    #expect(Ownership.validSizes(ranks: 6, miniMoEs: 32) == [1, 2])
    #expect(Ownership.validSizes(ranks: 64, miniMoEs: 32) == [1, 2, 4, 8, 16, 32])
    #expect(Ownership.validSizes(ranks: 1, miniMoEs: 32) == [1])
  }

  @Test("Shares of tensors cover each element once, in order, and never cut inside a block")
  func shares() {
    let counts = [5, 10_000, 1, 4096, 70_000, 17]
    let whole = counts.enumerated().map { ParameterPart(ParameterID($0), 0..<$1) }
    for ranks in [1, 2, 3, 8, 40] {
      let shares = (0..<ranks).map { ParameterPart.share(whole, index: $0, of: ranks) }
      for (index, count) in counts.enumerated() {
        let cuts = shares.flatMap { $0.filter { $0.id.index == index }.map(\.elements) }
        #expect(cuts.first?.lowerBound == 0)
        #expect(cuts.last?.upperBound == count)
        for (left, right) in zip(cuts, cuts.dropFirst()) {
          #expect(left.upperBound == right.lowerBound)
          #expect(right.lowerBound % 2048 == 0)
        }
      }
      let sizes = shares.map { $0.reduce(0) { $0 + $1.elements.count } }
      #expect((sizes.max() ?? 0) <= counts.reduce(0, +) / ranks + 2 * 2048)
    }
  }

  @Test("A store of some tensors has the numbers that a store of all has")
  func partialStore() throws {
    let tiny = try TinyModel(seed: 2)
    let all = tiny.model.initialParameters(seed: 7, pool: tiny.context.pool)
    let ownership = Ownership(miniMoEs: 3, size: 3, rank: 1)
    let held = ownership.held(in: tiny.model.table)
    let some = tiny.model.initialParameters(seed: 7, holding: held, pool: tiny.context.pool)
    #expect(some.buffer.count < all.buffer.count)
    for id in held { #expect(Array(some.values(id)) == Array(all.values(id))) }
    #expect(some.array("mini_moes.1.router.weight") != nil)
    #expect(some.array("mini_moes.2.router.weight") == nil)
  }
}
