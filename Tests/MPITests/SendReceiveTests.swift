import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct SendReceiveTests {
    @Test("A message travels around the ring, empty or of awkward length, whole or in parts")
    func goesRound() throws {
      for communicator in try World.splittings() {
        let next = (communicator.rank + 1) % communicator.size
        let previous = (communicator.rank + communicator.size - 1) % communicator.size
        for count in World.awkwardCounts {
          let mine = World.values(communicator.rank, count: count)
          let incoming = try communicator.iReceive(TransferBuffer<Int32>(count: count), from: previous, tag: 3)
          let outgoing = try communicator.iSend(TransferBuffer(mine), to: next, tag: 3)
          #expect(try incoming.wait().array == World.values(previous, count: count))
          #expect(try outgoing.wait().array == mine)
        }
      }
    }

    @Test("Blocking messages arrive in order from any rank")
    func arrives() throws {
      let world = try World.communicator()
      if world.rank > 0 {
        try world.send([Double(world.rank), 1], to: 0, tag: 9)
        try world.send([Double(world.rank), 2], to: 0, tag: 9)
      } else {
        var seen = [Double](repeating: 0, count: world.size)
        for _ in 0..<2 * (world.size - 1) {
          var message: [Double] = [0, 0]
          let source = try message.withUnsafeMutableBufferPointer { try world.receive($0, from: nil, tag: 9) }
          #expect(message == [Double(source), seen[source] + 1])
          seen[source] = message[1]
        }
        #expect(seen.dropFirst().allSatisfy { $0 == 2 })
      }
    }

    @Test("Probe returns sender, tag and length of a message, and nil if there is none")
    func probes() throws {
      let world = try World.communicator()
      let alone = try world.duplicate()
      #expect(try alone.iProbe(Float.self, from: nil, tag: nil) == nil)
      try alone.barrier()
      let previous = (alone.rank + alone.size - 1) % alone.size
      let sent = try alone.iSend(
        TransferBuffer<Float>(count: 5 + alone.rank), to: (alone.rank + 1) % alone.size, tag: 7)
      let message = try alone.probe(Float.self, from: nil, tag: nil)
      #expect(message.source == previous && message.tag == 7 && message.count == 5 + previous)
      #expect(try alone.iProbe(Float.self, from: previous, tag: 7) == message)
      #expect(try alone.receive(Float.self, count: message.count, from: previous, tag: 7).count == message.count)
      _ = try sent.wait()
    }

    @Test("A message shorter than its buffer is an error, blocking or not")
    func rejectsShortMessages() throws {
      let world = try World.communicator()
      let sent = try world.iSend(TransferBuffer<Float>([1]), to: world.rank, tag: 2)
      let again = try world.iSend(TransferBuffer<Float>([1]), to: world.rank, tag: 2)
      let error = #expect(throws: MPIError.self) { try world.receive(Float.self, count: 4, from: nil, tag: 2) }
      #expect(error?.kind == .shorterMessage)
      #expect(error?.text == "the message from rank \(world.rank) with tag 2 has 1 elements, expected 4 elements")
      #expect(throws: MPIError.self) {
        _ = try world.iReceive(TransferBuffer<Float>(count: 4), from: world.rank, tag: 2).wait()
      }
      _ = try sent.wait()
      _ = try again.wait()
    }
  }
}
