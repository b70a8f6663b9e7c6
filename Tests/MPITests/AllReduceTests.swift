import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct AllReduceTests {
    func sums<Element: Transferable & Numeric>(_: Element.Type) throws {
      for communicator in try World.splittings() {
        for count in World.awkwardCounts {
          let mine = World.values(communicator.rank, count: count, Element.self)
          let expected = (0..<communicator.size).map { World.values($0, count: count, Element.self) }
            .reduce([Element](repeating: .zero, count: count)) { zip($0, $1).map { $0 + $1 } }
          #expect(try communicator.allReduce(mine, .sum) == expected)
          var result = [Element](repeating: .zero, count: count)
          try mine.withUnsafeBufferPointer { mine in
            try result.withUnsafeMutableBufferPointer { try communicator.allReduce(mine, into: $0, .sum) }
          }
          #expect(result == expected)
          let request = try communicator.iAllReduce(TransferBuffer(mine), .sum)
          #expect(try request.wait().array == expected)
        }
      }
    }

    @Test("All-reduce sums every element type, in place, into another buffer and non-blocking, whole or in parts")
    func sumsAllTypes() throws {
      try sums(Float.self)
      try sums(Double.self)
      try sums(Int8.self)
      try sums(Int16.self)
      try sums(Int32.self)
      try sums(Int64.self)
      try sums(Int.self)
      try sums(UInt8.self)
      try sums(UInt16.self)
      try sums(UInt32.self)
      try sums(UInt64.self)
    }

    @Test("All-reduce computes maximum and minimum")
    func extremes() throws {
      let world = try World.communicator()
      let last = Float(world.size - 1)
      #expect(try world.allReduce([Float(world.rank), -Float(world.rank)], .maximum) == [last, 0])
      #expect(try world.allReduce([Float(world.rank), -Float(world.rank)], .minimum) == [0, -last])
    }

    @Test("All-reduce computes bitwise and logical operations")
    func bits() throws {
      let world = try World.communicator()
      let all = UInt32(1) << UInt32(world.size) - 1
      let mine = UInt32(1) << UInt32(world.rank)
      #expect(try world.allReduce(mine, .bitwiseOr) == all)
      #expect(try world.allReduce(mine | 256, .bitwiseXor) == (world.size.isMultiple(of: 2) ? all : all | 256))
      #expect(try world.allReduce(mine | 256, .bitwiseAnd) == (world.size == 1 ? 257 : 256))
      let flags: [Int32] = [1, world.rank == 0 ? 1 : 0, 0]
      #expect(try world.allReduce(flags, .logicalAnd) == [1, world.size == 1 ? 1 : 0, 0])
      #expect(try world.allReduce(flags, .logicalOr) == [1, 1, 0])
    }

    @Test("Reduce gives the root the result and does not change the values of other ranks")
    func reducesToRoot() throws {
      for communicator in try World.splittings() {
        for root in 0..<communicator.size {
          for count in World.awkwardCounts {
            let mine = World.values(communicator.rank, count: count)
            let expected = (0..<count).map { place in
              (0..<communicator.size).reduce(Int32(0)) { $0 + Int32($1 * 100_000 + place) }
            }
            var values = mine
            try values.withUnsafeMutableBufferPointer { try communicator.reduce($0, .sum, to: root) }
            #expect(values == (communicator.rank == root ? expected : mine))
            #expect(try communicator.reduce(mine, .sum, to: root) == (communicator.rank == root ? expected : nil))
          }
        }
      }
    }

    @Test("Reduce-scatter gives rank r block r of the reduction, for equal, unequal and empty blocks")
    func reduceScatters() throws {
      for communicator in try World.splittings() {
        for count in World.awkwardCounts {
          for counts in [
            [Int](repeating: count, count: communicator.size),
            (0..<communicator.size).map { World.unequalCount($0, count) },
          ] {
            let mine = World.values(communicator.rank, count: counts.reduce(0, +))
            let start = counts[..<communicator.rank].reduce(0, +)
            let expected = (start..<start + counts[communicator.rank]).map { place in
              (0..<communicator.size).reduce(Int32(0)) { $0 + Int32($1 * 100_000 + place) }
            }
            #expect(try communicator.reduceScatter(mine, counts: counts, .sum) == expected)
            var result = [Int32](repeating: 0, count: expected.count)
            try mine.withUnsafeBufferPointer { mine in
              try result.withUnsafeMutableBufferPointer {
                try communicator.reduceScatter(mine, into: $0, counts: counts, .sum)
              }
            }
            #expect(result == expected)
          }
        }
      }
    }
  }
}
