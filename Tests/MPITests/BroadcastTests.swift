import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct BroadcastTests {
    @Test("Every rank gets the root's elements, for any root, whole or in parts")
    func broadcasts() throws {
      for communicator in try World.splittings() {
        for root in 0..<communicator.size {
          for count in World.awkwardCounts {
            var values = World.values(communicator.rank, count: count)
            try values.withUnsafeMutableBufferPointer { try communicator.broadcast($0, from: root) }
            #expect(values == World.values(root, count: count))
          }
        }
      }
    }

    @Test("An array is broadcast with its length")
    func broadcastsArrays() throws {
      let world = try World.communicator()
      for root in 0..<world.size {
        let mine = World.values(world.rank, count: world.rank * 7)
        #expect(try world.broadcast(mine, from: root) == World.values(root, count: root * 7))
      }
    }

    @Test("A non-blocking broadcast gives the same result")
    func startsBroadcasts() throws {
      for communicator in try World.splittings() {
        let root = communicator.size - 1
        for count in World.awkwardCounts {
          let buffer = TransferBuffer(World.values(communicator.rank, count: count))
          let result = try communicator.iBroadcast(buffer, from: root).wait()
          #expect(result.array == World.values(root, count: count))
        }
      }
    }
  }
}
