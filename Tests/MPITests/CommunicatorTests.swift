import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct CommunicatorTests {
    @Test("Messages of a duplicate are separate from those of the original")
    func duplicates() throws {
      let world = try World.communicator()
      let copy = try world.duplicate()
      #expect(copy.rank == world.rank && copy.size == world.size)
      let first = try copy.iSend(TransferBuffer<Int32>([1]), to: world.rank, tag: 1)
      let second = try world.iSend(TransferBuffer<Int32>([2]), to: world.rank, tag: 1)
      #expect(try world.receive(Int32.self, count: 1, from: nil, tag: 1) == [2])
      #expect(try copy.receive(Int32.self, count: 1, from: nil, tag: 1) == [1])
      _ = try first.wait()
      _ = try second.wait()
    }

    @Test("A split by parity, in descending order of rank, has the ranks of one parity")
    func splits() throws {
      let world = try World.communicator()
      let part = try #require(try world.split(color: world.rank % 2, key: -world.rank))
      let members = try part.allGather(world.rank)
      let expected = (0..<world.size).filter { $0 % 2 == world.rank % 2 }
      #expect(members == expected.reversed())
      #expect(members[part.rank] == world.rank)
    }

    @Test("A rank without a color gets no communicator")
    func leavesOut() throws {
      let world = try World.communicator()
      let part = try world.split(color: world.rank == 0 ? nil : 0, key: 0)
      #expect((part == nil) == (world.rank == 0))
      #expect(part.map(\.size) ?? world.size - 1 == world.size - 1)
    }

    @Test("Ranks that one mpirun starts on one machine share the machine")
    func splitsByMachine() throws {
      let world = try World.communicator()
      let machine = try world.splitByMachine()
      #expect(machine.size == world.size && machine.rank == world.rank)
    }

    @Test("Many communicators can be created and dropped, because they are freed", .timeLimit(.minutes(2)))
    func freesHandles() throws {
      let world = try World.communicator()
      for round in 0..<300 {
        let copy = try world.duplicate()
        #expect(try copy.allReduce(round, .sum) == round * world.size)
      }
    }
  }
}
