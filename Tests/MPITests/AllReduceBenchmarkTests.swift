import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct AllReduceBenchmarkTests {
    @Test("The benchmark returns the same positive times for each size on all ranks")
    func measures() throws {
      let world = try World.communicator()
      let rows = try AllReduceBenchmark.measure(world, sizes: [1024, 65_536], seconds: 0.02)
      #expect(rows.map(\.bytes) == [1024, 65_536])
      for row in rows {
        #expect(row.wrapperSeconds > 0 && row.cSeconds > 0 && row.ratio > 0 && row.gigabytesPerSecond > 0)
        #expect(try world.broadcast(row.ratio, from: 0) == row.ratio)
      }
    }
  }
}
