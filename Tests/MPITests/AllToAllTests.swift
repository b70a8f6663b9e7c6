import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct AllToAllTests {
    /// The block that rank `source` sends to rank `destination`.
    func block(from source: Int, to destination: Int, count: Int) -> [Int32] {
      (0..<count).map { Int32(source * 1_000_000 + destination * 10_000 + $0) }
    }

    @Test("Block r goes to rank r and comes from rank r, whole or in parts, also non-blocking")
    func exchangesEqualBlocks() throws {
      for communicator in try World.splittings() {
        let (rank, ranks) = (communicator.rank, 0..<communicator.size)
        for count in World.awkwardCounts {
          let mine = ranks.flatMap { block(from: rank, to: $0, count: count) }
          let expected = ranks.flatMap { block(from: $0, to: rank, count: count) }
          #expect(try communicator.allToAll(mine) == expected)
          let buffers = TransferPair(sent: TransferBuffer(mine), received: TransferBuffer(count: mine.count))
          let pair = try communicator.iAllToAll(buffers).wait()
          #expect(pair.received.array == expected)
          #expect(pair.sent.array == mine)
        }
      }
    }

    @Test("Blocks of any length, including 0, reach their ranks, whole or in parts, also non-blocking")
    func exchangesUnequalBlocks() throws {
      for communicator in try World.splittings() {
        let (rank, ranks) = (communicator.rank, 0..<communicator.size)
        for count in World.awkwardCounts {
          let length = { (source: Int, destination: Int) in count * ((source + 2 * destination) % 3) }
          let blocks = ranks.map { block(from: rank, to: $0, count: length(rank, $0)) }
          let expected = ranks.map { block(from: $0, to: rank, count: length($0, rank)) }
          #expect(try communicator.allToAllv(blocks) == expected)
          let request = try communicator.iAllToAllv(
            TransferPair(
              sent: TransferBuffer(Array(blocks.joined())),
              received: TransferBuffer(count: expected.map(\.count).reduce(0, +))),
            sendCounts: blocks.map(\.count), receiveCounts: expected.map(\.count))
          let pair = try request.wait()
          #expect(pair.received.array == Array(expected.joined()))
        }
      }
    }
  }
}
