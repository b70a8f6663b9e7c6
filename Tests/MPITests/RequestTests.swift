import Foundation
import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct RequestTests {
    @Test("Buffers are aligned to 64 bytes, start with zeros, and keep their values when they grow")
    func ownsMemory() {
      var buffer = TransferBuffer<Float>(count: 3)
      #expect(buffer.array == [0, 0, 0])
      buffer[1] = 4
      buffer.resize(to: 200)
      #expect(buffer.count == 200 && buffer[1] == 4)
      buffer.resize(to: 2)
      #expect(buffer.array == [0, 4] && buffer.capacity == 200)
      buffer.withUnsafeElements { #expect(UInt(bitPattern: $0.baseAddress) % 64 == 0) }
      buffer.withUnsafeMutableElements { $0[0] = 9 }
      #expect(buffer[0] == 9)
    }

    @Test("A request returns the buffer that it took")
    func returnsTheBuffer() throws {
      let world = try World.communicator()
      var buffer = TransferBuffer<Double>(count: 100)
      let before = buffer.withUnsafeElements { UInt(bitPattern: $0.baseAddress) }
      for _ in 0..<3 { buffer = try world.iAllReduce(buffer, .sum).wait() }
      #expect(buffer.withUnsafeElements { UInt(bitPattern: $0.baseAddress) } == before)
    }

    @Test("A request that is only tested ends, and its wait then returns immediately")
    func tests() throws {
      for communicator in try World.splittings() {
        var request = try communicator.iAllReduce(TransferBuffer([Int32](repeating: 1, count: 57)), .sum)
        while try !request.test() {}
        #expect(try request.test())
        #expect(try request.wait().array == [Int32](repeating: Int32(communicator.size), count: 57))
      }
    }

    @Test("Several requests in flight end in any order")
    func overlap() throws {
      let world = try World.communicator()
      let first = try world.iAllReduce(TransferBuffer<Int32>([1, 2]), .sum)
      let second = try world.iBroadcast(TransferBuffer<Int32>([Int32(world.rank)]), from: world.size - 1)
      #expect(try second.wait().array == [Int32(world.size - 1)])
      #expect(try first.wait().array == [Int32(world.size), Int32(2 * world.size)])
    }

    @Test("Another thread can wait for a request")
    func waitsElsewhere() async throws {
      let communicator = try World.communicator().duplicate()
      let sum = try await Task.detached {
        try communicator.iAllReduce(TransferBuffer<Int32>([Int32(communicator.rank)]), .sum).wait().array
      }.value
      #expect(sum == [Int32(communicator.size * (communicator.size - 1) / 2)])
    }

    @Test("A request that is dropped before its end is waited for and reported in one line on stderr")
    func reportsDrops() throws {
      let world = try World.communicator()
      let text = try capturingStandardError {
        let request = try world.iBarrier()
        _ = consume request
      }
      let speaker = world.size > 1 ? "quillan: rank \(world.rank): " : "quillan: "
      #expect(
        text == "\(speaker)a request (MPI_Ibarrier) was dropped before its end, so this rank waited for it; "
          + "keep requests and call wait()\n")
      try world.barrier()
    }

    /// The text that `body` writes to file descriptor 2.
    func capturingStandardError(_ body: () throws -> Void) throws -> String {
      let pipe = Pipe()
      let saved = dup(STDERR_FILENO)
      dup2(pipe.fileHandleForWriting.fileDescriptor, STDERR_FILENO)
      let outcome = Result { try body() }
      dup2(saved, STDERR_FILENO)
      close(saved)
      try pipe.fileHandleForWriting.close()
      try outcome.get()
      return String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }
  }
}
