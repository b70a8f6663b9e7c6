import Dispatch
import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct BarrierTests {
    @Test("No rank leaves a barrier before the last has entered it")
    func waitsAtBarriers() throws {
      let world = try World.communicator()
      for late in 0..<world.size {
        try world.barrier()
        if world.rank == late { wait(milliseconds: 20) }
        let entered = DispatchTime.now().uptimeNanoseconds
        try world.barrier()
        let left = DispatchTime.now().uptimeNanoseconds
        // Ranks of one machine share the clock.
        let last = try world.allReduce(Int64(entered), .maximum)
        let first = try world.allReduce(Int64(left), .minimum)
        #expect(first >= last)
      }
    }

    @Test("A non-blocking barrier does not end before every rank has started it")
    func startsBarriers() throws {
      let world = try World.communicator()
      let last = world.size - 1
      if world.rank == last {
        for other in 0..<last { _ = try world.receive(Int32.self, count: 1, from: other, tag: 0) }
        try world.iBarrier().wait()
      } else {
        var request = try world.iBarrier()
        for _ in 0..<1000 { #expect(try !request.test()) }
        try world.send([Int32(1)], to: last, tag: 0)
        try request.wait()
      }
    }

    private func wait(milliseconds: UInt64) {
      let end = DispatchTime.now().uptimeNanoseconds + milliseconds * 1_000_000
      while DispatchTime.now().uptimeNanoseconds < end {}
    }
  }
}
