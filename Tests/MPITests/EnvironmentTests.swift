import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct EnvironmentTests {
    @Test("A second start of MPI returns the same world, whose rank is below its size")
    func startsOnce() throws {
      let world = try World.communicator()
      #expect(try Environment.initialize() === world)
      #expect(Environment.world === world)
      #expect(Environment.isRunning)
      #expect(0..<world.size ~= world.rank)
      #expect(Environment.libraryVersion.contains("MPI"))
    }

    @Test("An error names the call, the cause and a remedy, in one line")
    func describesErrors() throws {
      let world = try World.communicator()
      let sent = try world.iSend(TransferBuffer<Float>([1, 2, 3]), to: world.rank, tag: 5)
      let error = #expect(throws: MPIError.self) {
        try world.receive(Float.self, count: 2, from: world.rank, tag: 5)
      }
      _ = try sent.wait()
      #expect(error?.kind == .truncated)
      #expect(error?.call == "MPI_Recv")
      let line = try #require(error?.description)
      #expect(line.hasPrefix("MPI_Recv: MPI_ERR_TRUNCATE") && line.contains("same number of elements"))
      #expect(!line.contains("\n"))
    }
  }
}
