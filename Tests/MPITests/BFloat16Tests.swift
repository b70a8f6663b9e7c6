import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct BFloat16Tests {
    @Test("A Float is rounded to the nearest bfloat16, ties to even; infinities and NaN remain")
    func rounds() {
      #expect(BFloat16(1).bitPattern == 0x3f80)
      #expect(BFloat16(-2.5).float == -2.5)
      // Half a unit above 1 and above the next number: down to the even 1, up to the even 1 + 2 units.
      #expect(BFloat16(1 + 0x1p-8).bitPattern == 0x3f80)
      #expect(BFloat16(1 + 3 * 0x1p-8).bitPattern == 0x3f82)
      #expect(BFloat16((1 + 0x1p-8 as Float).nextUp).bitPattern == 0x3f81)
      #expect(BFloat16(.greatestFiniteMagnitude).float == .infinity)
      #expect(BFloat16(-.infinity).float == -.infinity)
      #expect(BFloat16(.nan).float.isNaN)
      #expect(BFloat16(Float(bitPattern: 0x7f80_0001)).float.isNaN)
    }

    @Test("Every bfloat16 survives conversion to Float and back")
    func survives() {
      let changed = (0...UInt16.max).filter { bits in
        let value = BFloat16(bitPattern: bits).float
        return !value.isNaN && BFloat16(value).bitPattern != bits
      }
      #expect(changed.isEmpty)
    }

    @Test("Sums over ranks add in Float and round to nearest even")
    func sums() throws {
      for communicator in try World.splittings() {
        // 256 + 1 is a tie that rounds to 256, so adding ones to 256 changes nothing.
        let mine = BFloat16(communicator.rank == 0 ? 256 : 1)
        let total = try communicator.allReduce([mine, BFloat16(Float(communicator.rank))], .sum)
        let ranks = communicator.size
        #expect(ranks > 2 || total[0].float == 256)
        #expect(total[1].float == Float(ranks * (ranks - 1) / 2))
        let request = try communicator.iAllReduce(TransferBuffer([mine, mine, mine]), .maximum)
        #expect(try request.wait().array == [BFloat16](repeating: BFloat16(256), count: 3))
        #expect(try communicator.allReduce(mine, .minimum) == BFloat16(ranks == 1 ? 256 : 1))
      }
    }

    @Test("Buffers of awkward lengths are summed, moved and gathered")
    func moves() throws {
      let world = try World.communicator()
      for count in World.awkwardCounts {
        let mine = (0..<count).map { BFloat16(Float(($0 + world.rank) % 16)) }
        let expected = (0..<count).map { place in
          BFloat16((0..<world.size).reduce(Float(0)) { $0 + Float((place + $1) % 16) })
        }
        #expect(try world.allReduce(mine, .sum) == expected)
        #expect(
          Array(try world.allGather(mine).suffix(count))
            == (0..<count).map {
              BFloat16(Float(($0 + world.size - 1) % 16))
            })
      }
    }
  }
}
