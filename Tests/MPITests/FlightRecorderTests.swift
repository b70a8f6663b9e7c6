import Foundation
import MPI
import Telemetry
import Testing

extension MPITests {
  @Suite(.serialized) struct FlightRecorderTests {
    /// The events of `body` that a trace collects on this thread.
    private func trace(_ body: () throws -> Void) throws -> [TraceEvent] {
      FlightRecorder.startTrace()
      let outcome = Result { try body() }
      let events = FlightRecorder.takeTrace()
      try outcome.get()
      // Tests of other suites may run at the same time.
      let thread = events.first { $0.name == "outer" }?.thread
      return events.filter { $0.thread == thread }
    }

    @Test("Phases nest, and a collective has the innermost phase, its count, type and call site")
    func nests() throws {
      let communicator = try World.communicator().duplicate()
      var line = 0
      let events = try trace {
        try FlightRecorder.phase("outer") {
          try FlightRecorder.phase("layer", 2, "forward") {
            line = #line + 1
            _ = try communicator.allReduce([1, 2, 3] as [Float], .sum)
          }
          try communicator.barrier()
        }
      }
      #expect(events.map(\.name) == ["all-reduce layer 2 forward", "layer 2 forward", "barrier outer", "outer"])
      #expect(events[0].count == 3 && events[0].type == "float32" && events[0].isCollective)
      #expect(events[0].site == "MPITests/FlightRecorderTests.swift:\(line)")
      #expect(!events[1].isCollective && events[1].site.isEmpty)
      for (inner, outer) in [(0, 1), (1, 3), (2, 3)] {
        #expect(events[outer].start <= events[inner].start && events[inner].end <= events[outer].end)
      }
      #expect(events.allSatisfy { $0.start <= $0.end })
    }

    @Test("A split transfer is one event, and so is the wait for a non-blocking one")
    func countsOnce() throws {
      let communicator = try World.communicator().duplicate()
      let events = try trace {
        try FlightRecorder.phase("outer") {
          _ = try communicator.splittingTransfers(above: 2).allGather([Int32](repeating: 1, count: 7))
          _ = try communicator.iAllReduce(TransferBuffer<Float>(count: 4), .sum).wait()
        }
      }
      #expect(events.map(\.name) == ["all-gather outer", "all-reduce outer", "outer"])
    }

    @Test("Phases nested too deeply and bodies that throw do not disturb the outer phase")
    func survives() throws {
      struct Trouble: Error {}
      func dive(_ depth: Int) { FlightRecorder.phase("deep", depth) { if depth > 0 { dive(depth - 1) } } }
      let events = try trace {
        FlightRecorder.phase("outer") { dive(40) }
        #expect(throws: Trouble.self) { try FlightRecorder.phase("thrown") { throw Trouble() } }
        FlightRecorder.phase("outer") {}
      }
      #expect(events.suffix(3).map(\.name) == ["outer", "thrown", "outer"])
    }

    @Test("Clocks of the ranks of one machine agree within the measured error")
    func clocks() throws {
      let communicator = try World.communicator().duplicate()
      let offset = try communicator.clockOffset(rounds: 5)
      #expect(offset.error >= 0)
      if try communicator.splitByMachine().size == communicator.size {
        // One machine has one monotonic clock.
        #expect(abs(offset.nanoseconds) <= offset.error + 1000)
      }
    }
  }
}
