import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct GatherTests {
    /// The values of all ranks, in rank order.
    func joined(_ counts: [Int]) -> [Int32] {
      counts.enumerated().flatMap { World.values($0.offset, count: $0.element) }
    }

    @Test("All-gather puts equal blocks in rank order on every rank, also in place and non-blocking")
    func allGathers() throws {
      for communicator in try World.splittings() {
        for count in World.awkwardCounts {
          let mine = World.values(communicator.rank, count: count)
          let expected = joined([Int](repeating: count, count: communicator.size))
          #expect(try communicator.allGather(mine) == expected)
          var whole = [Int32](repeating: -1, count: expected.count)
          whole.replaceSubrange(communicator.rank * count..<(communicator.rank + 1) * count, with: mine)
          let request = try communicator.iAllGather(TransferBuffer(whole))
          #expect(try request.wait().array == expected)
          try whole.withUnsafeMutableBufferPointer { try communicator.allGather($0) }
          #expect(whole == expected)
        }
      }
    }

    @Test("All-gather handles unequal and empty blocks, also in place and non-blocking")
    func allGathersUnequal() throws {
      for communicator in try World.splittings() {
        for count in World.awkwardCounts {
          let counts = (0..<communicator.size).map { World.unequalCount($0, count) }
          let mine = World.values(communicator.rank, count: counts[communicator.rank])
          let expected = joined(counts)
          #expect(try communicator.allGatherv(mine) == counts.enumerated().map { World.values($0.0, count: $0.1) })
          let start = counts[..<communicator.rank].reduce(0, +)
          var whole = [Int32](repeating: -1, count: expected.count)
          whole.replaceSubrange(start..<start + mine.count, with: mine)
          let request = try communicator.iAllGatherv(TransferBuffer(whole), counts: counts)
          #expect(try request.wait().array == expected)
          try whole.withUnsafeMutableBufferPointer { try communicator.allGatherv($0, counts: counts) }
          #expect(whole == expected)
        }
      }
    }

    @Test("Gather gives the root equal, unequal and empty blocks in rank order")
    func gathers() throws {
      for communicator in try World.splittings() {
        for root in 0..<communicator.size {
          for count in World.awkwardCounts {
            let isRoot = communicator.rank == root
            let equal = World.values(communicator.rank, count: count)
            let expected = joined([Int](repeating: count, count: communicator.size))
            #expect(try communicator.gather(equal, to: root) == (isRoot ? expected : nil))
            let counts = (0..<communicator.size).map { World.unequalCount($0, count) }
            let unequal = World.values(communicator.rank, count: counts[communicator.rank])
            let blocks = counts.enumerated().map { World.values($0.0, count: $0.1) }
            #expect(try communicator.gatherv(unequal, to: root) == (isRoot ? blocks : nil))
          }
        }
      }
    }

    @Test("Scatter gives every rank its equal, unequal or empty block of the root's values")
    func scatters() throws {
      for communicator in try World.splittings() {
        for root in 0..<communicator.size {
          for count in World.awkwardCounts {
            let isRoot = communicator.rank == root
            let all = joined([Int](repeating: count, count: communicator.size))
            let mine = World.values(communicator.rank, count: count)
            #expect(try communicator.scatter(isRoot ? all : [], from: root) == mine)
            let counts = (0..<communicator.size).map { World.unequalCount($0, count) }
            let blocks = counts.enumerated().map { World.values($0.0, count: $0.1) }
            #expect(try communicator.scatterv(isRoot ? blocks : [], from: root) == blocks[communicator.rank])
          }
        }
      }
    }
  }
}
