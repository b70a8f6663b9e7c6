import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct BitwiseRecordTests {
    struct Sample: BitwiseCopyable, Sendable, Equatable {
      var rank: UInt8
      var value: Double
      var tensor: Int?
    }

    @Test("Records without memory of their own are gathered in rank order with their bits")
    func gathers() throws {
      for communicator in try World.splittings() {
        func records(_ rank: Int) -> [Sample] {
          (0..<rank % 3 * 2).map { Sample(rank: UInt8(rank), value: -0.1 * Double($0), tensor: $0 == 0 ? nil : $0) }
        }
        let all = (0..<communicator.size).flatMap(records)
        #expect(try communicator.gather(bitwise: records(communicator.rank)) == all)
      }
    }

    @Test("A message that is not a whole number of records gives an error that names the sender")
    func rejectsParts() throws {
      let world = try World.communicator()
      let error = #expect(throws: MPIError.self) {
        // The last rank sends what is not a record, as a rank of another build.
        if world.rank == world.size - 1 {
          _ = try world.allGatherv([UInt8](repeating: 0, count: 7))
          throw MPIError(call: "", kind: .record, text: "the message of rank \(world.rank)", remedy: "")
        }
        _ = try world.gather(bitwise: [Sample(rank: 1, value: 2)])
      }
      #expect(error?.kind == .record)
      #expect(error?.text.hasPrefix("the message of rank \(world.size - 1)") == true)
    }
  }
}
