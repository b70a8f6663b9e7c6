import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct CollectiveCheckTests {
    /// Runs `body` on a communicator of its own, with the comparison on.
    private func comparing(_ body: (Communicator) throws -> Void) throws {
      let communicator = try World.communicator().duplicate()
      try World.communicator().barrier()
      CollectiveCheck.isOn = true
      defer { CollectiveCheck.isOn = false }
      try body(communicator)
    }

    @Test("If ranks call different collectives, all get an error with both calls and call sites")
    func operations() throws {
      try comparing { communicator in
        guard communicator.size > 1 else { return }
        let last = communicator.size - 1
        // Outside of the macro, which changes line numbers.
        let (here, barrier) = (#line, { () throws in try communicator.barrier() })
        let (there, sum) = (#line, { () throws in _ = try communicator.allReduce([1, 2], .sum) })
        let error = #expect(throws: MPIError.self) { try communicator.rank == last ? barrier() : sum() }
        #expect(error?.kind == .mismatch)
        #expect(error?.isEchoed == (communicator.rank > 0))
        #expect(
          error?.description == "ranks call different collectives: rank 0 all-reduce (sum) of 2 int64 at "
            + "MPITests/CollectiveCheckTests.swift:\(there), rank \(last) barrier at "
            + "MPITests/CollectiveCheckTests.swift:\(here); make all ranks call the same collectives, with the same "
            + "arguments, in the same order")
      }
    }

    @Test("A different count, type, operation, root or call site is a mismatch", arguments: 0..<5)
    func arguments(variant: Int) throws {
      try comparing { communicator in
        guard communicator.size > 1 else { return }
        let isOdd = communicator.rank == communicator.size - 1
        func differ() throws {
          switch variant {
          case 0: _ = try communicator.allReduce([Float](repeating: 0, count: isOdd ? 3 : 2), .sum)
          case 1: if isOdd { try communicator.reduceOnce(Float(1)) } else { try communicator.reduceOnce(Int32(1)) }
          case 2: _ = try communicator.allReduce(1, isOdd ? .maximum : .sum)
          case 3: _ = try communicator.broadcast(1, from: isOdd ? 1 : 0)
          default:
            if isOdd {
              try communicator.barrier()
            } else {
              try communicator.barrier()
            }
          }
        }
        let error = #expect(throws: MPIError.self) { try differ() }
        #expect(error?.kind == .mismatch)
      }
    }

    @Test("The comparison does not change results, blocking or non-blocking")
    func agreement() throws {
      try comparing { communicator in
        let (rank, size) = (communicator.rank, communicator.size)
        #expect(try communicator.allReduce(rank, .sum) == size * (size - 1) / 2)
        // Ranks send blocks of different lengths.
        let blocks = (0..<size).map { [Int32](repeating: Int32(rank), count: $0 + rank) }
        #expect(try communicator.allToAllv(blocks).map(\.count) == (0..<size).map { $0 + rank })
        #expect(try communicator.allGatherv([Int32](repeating: 1, count: rank)).map(\.count) == Array(0..<size))
        let request = try communicator.iAllReduce(TransferBuffer<Int32>([1]), .sum)
        #expect(try request.wait().array == [Int32(size)])
        if size > 1 { #expect(CollectiveCheck.cost.comparisons > 0) }
      }
    }
  }
}

extension Communicator {
  /// One call site for all types.
  fileprivate func reduceOnce<Element: Transferable>(_ value: Element) throws(MPIError) {
    _ = try allReduce(value, .sum)
  }
}
