import MPI
import Testing

extension MPITests {
  @Suite(.serialized) struct RecordTests {
    /// One field of every kind that a record can have.
    struct Sample: RankRecord, Equatable {
      enum Fate: String, RankRecord, CodingKeyRepresentable { case kept, uniform }
      enum Outcome: RankRecord, Equatable { case loss(Double, tokens: Int), skipped }
      struct Point: RankRecord, Equatable {
        var x = 0.0
        var y: Float = 0
      }

      var group: UInt64 = 0
      var flag = false
      var small: Int8 = 0
      var signed = [Int]()
      var unsigned = [UInt64]()
      var narrow: [UInt16] = []
      var doubles: [UInt64: Point] = [:]
      var text = ""
      var missing: Int?
      var list: [Double?] = []
      var fate = Fate.kept
      var outcomes: [Outcome] = []
      var counts: [Fate: Int] = [:]
      var figures: [String: Double] = [:]
      var point = Point()
    }

    static let full = Sample(
      group: .max, flag: true, small: -128, signed: [.min, -1, 0, 1, 63, 64, -64, -65, .max],
      unsigned: [0, 127, 128, 1 << 63, .max], narrow: [0, .max], doubles: [7: .init(x: -1, y: 2)],
      text: "κείμενο\0\n\u{1F600}", missing: -5, list: [1, nil, -0.0, .infinity], fate: .uniform,
      outcomes: [.loss(0.1, tokens: 3), .skipped], counts: [.kept: 2, .uniform: 0],
      figures: ["a": 1, "": 2, "β": .pi, "ab": -0.0], point: .init(x: .leastNonzeroMagnitude, y: -.infinity))

    @Test("A value of every kind survives encoding and decoding")
    func roundTrip() throws {
      for sample in [Sample(), Self.full] {
        #expect(try RecordCodec.decode(Sample.self, from: RecordCodec.encode(sample)) == sample)
      }
      #expect(try RecordCodec.decode([Sample].self, from: RecordCodec.encode([Sample]())) == [])
      #expect(try RecordCodec.decode(Int?.self, from: RecordCodec.encode(Int?.none)) == nil)
      #expect(try RecordCodec.decode(Int?.self, from: RecordCodec.encode(Int?.some(-9))) == -9)
    }

    @Test(
      "Floating-point numbers keep their bits, NaN payloads and the sign of zero included",
      arguments: [0, 1 << 63, 0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0001, 0xFFF8_1234_5678_9ABC, 1, .max])
    func keepsBits(_ bits: UInt64) throws {
      let double = try RecordCodec.decode(Double.self, from: RecordCodec.encode(Double(bitPattern: bits)))
      #expect(double.bitPattern == bits)
      let half = UInt32(truncatingIfNeeded: bits >> 32)
      let float = try RecordCodec.decode(Float.self, from: RecordCodec.encode(Float(bitPattern: half)))
      #expect(float.bitPattern == half)
    }

    @Test("Equal records give equal bytes, whatever the order in which a dictionary was filled")
    func isDeterministic() throws {
      let names = (0..<100).map { "figure \($0)" }
      var forwards: [String: Double] = [:]
      var backwards: [String: Double] = Dictionary(minimumCapacity: 1000)
      for name in names { forwards[name] = Double(name.count) }
      for name in names.reversed() { backwards[name] = Double(name.count) }
      #expect(try RecordCodec.encode(forwards) == RecordCodec.encode(backwards))
    }

    @Test("The bytes are those that the format specifies")
    func followsSpecification() throws {
      struct Pair: RankRecord {
        var b: Int
        var a: Bool?
        var c: [Float]
      }
      let bytes = try RecordCodec.encode(Pair(b: -65, a: true, c: [1]))
      let names: [UInt8] = [3, 1, 0x61, 1, 0x62, 1, 0x63]
      #expect(bytes == names + [9, 3, 0, 2, 1, 3, 0x81, 1, 2, 8, 1, 5, 0, 0, 0x80, 0x3F])
    }

    @Test("A message that is truncated at any byte, or too long, throws")
    func rejectsWrongLength() throws {
      let bytes = try RecordCodec.encode(Self.full)
      for count in 0..<bytes.count {
        #expect(throws: RecordError.self) { try RecordCodec.decode(Sample.self, from: Array(bytes.prefix(count))) }
      }
      #expect(throws: RecordError.self) { try RecordCodec.decode(Sample.self, from: bytes + [0]) }
    }

    @Test("A message with a changed byte throws, or decodes to a record that is encoded again without loss")
    func survivesDamage() throws {
      let bytes = try RecordCodec.encode([Self.full])
      var rejected = 0
      for place in bytes.indices {
        for change: UInt8 in [1, 0x80, 0xFF] {
          var damaged = bytes
          damaged[place] ^= change
          guard let decoded = try? RecordCodec.decode([Sample].self, from: damaged) else {
            rejected += 1
            continue
          }
          let again = try RecordCodec.encode(decoded)
          #expect(try RecordCodec.encode(RecordCodec.decode([Sample].self, from: again)).count == again.count)
        }
      }
      #expect(rejected > bytes.count)
    }

    @Test(
      "Damage of each kind throws",
      arguments: [
        // No value; an unknown tag; an 11-byte integer; an integer beyond 64 bits.
        [0], [0, 10], [0, 4] + [UInt8](repeating: 0x80, count: 10) + [0],
        [0, 4] + [UInt8](repeating: 0xFF, count: 9) + [2],
        // A count beyond the message; text that is not UTF-8; names out of order; a field's index out of range.
        [0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0, 7, 1, 0xFF], [2, 1, 0x62, 1, 0x61, 0], [1, 1, 0x61, 9, 1, 1, 0],
        // The same field twice; lists that nest too deeply.
        [1, 1, 0x61, 9, 2, 0, 0, 0, 0], [0] + (0..<100).flatMap { _ in [8, 1] as [UInt8] } + [0],
      ] as [[UInt8]])
    func rejectsDamage(_ bytes: [UInt8]) {
      #expect(throws: RecordError.self) { try RecordCodec.decode([String: [Int]].self, from: bytes) }
    }

    @Test("A value that nests too deeply is not encoded")
    func rejectsDepth() {
      indirect enum Nest: Encodable {
        case end
        case inner(Nest)
      }
      let deep = (0..<100).reduce(Nest.end) { nest, _ in .inner(nest) }
      #expect(throws: RecordError.self) { try RecordCodec.encode(deep) }
    }

    @Test("An error names the field, and says what is there and what was expected")
    func namesField() throws {
      struct Old: RankRecord { var terms: [[String: String]] }
      struct New: RankRecord { var terms: [[String: UInt8]] }
      struct Wider: RankRecord { var terms: [[String: Int]] }
      struct Renamed: RankRecord { var losses: [Int] }
      let bytes = try RecordCodec.encode(Old(terms: [[:], ["policy": "x"]]))
      let kind = #expect(throws: RecordError.self) { try RecordCodec.decode(New.self, from: bytes) }
      #expect(kind?.place == "terms[1].policy")
      let range = #expect(throws: RecordError.self) {
        try RecordCodec.decode(New.self, from: RecordCodec.encode(Wider(terms: [["kl": 256]])))
      }
      #expect(range?.place == "terms[0].kl")
      #expect(range?.problem == "the integer 256 is not UInt8")
      let name = #expect(throws: RecordError.self) { try RecordCodec.decode(Renamed.self, from: bytes) }
      #expect(name?.problem == "the field 'losses' is missing")
    }

    @Test("Records are gathered in rank order on every rank, or on the root only")
    func gathersRecords() throws {
      for communicator in try World.splittings() {
        func records(_ rank: Int) -> [Sample] {
          (0..<rank % 3 * 2).map { Sample(group: UInt64(100 * rank + $0), list: [Double($0), nil]) }
        }
        let all = (0..<communicator.size).flatMap(records)
        #expect(try communicator.gather(records: records(communicator.rank)) == all)
        for root in 0..<communicator.size {
          let gathered = try communicator.gather(records: records(communicator.rank), to: root)
          #expect(gathered == (communicator.rank == root ? all : nil))
        }
      }
    }

    @Test("The root's record reaches every rank")
    func broadcastsRecords() throws {
      let world = try World.communicator()
      for root in 0..<world.size {
        let record = try world.broadcast(record: Sample(group: UInt64(world.rank), text: "\(world.rank)"), from: root)
        #expect(record == Sample(group: UInt64(root), text: "\(root)"))
      }
    }

    @Test("Ranks of different builds get an error that names the sender")
    func rejectsForeignRecords() throws {
      let world = try World.communicator()
      let bytes = try RecordCodec.encode(["no sample"])
      let error = #expect(throws: MPIError.self) {
        // The same messages as in `gather(records:)`, from ranks that know another record.
        if world.rank == 0 {
          _ = try world.gather(records: [Sample()])
        } else {
          _ = try world.allGatherv(bytes)
        }
        guard world.rank == 0, world.size > 1 else { throw MPIError(call: "", kind: .record, text: "", remedy: "") }
      }
      #expect(error?.kind == .record)
      if world.rank == 0, world.size > 1 { #expect(error?.text.hasPrefix("the message of rank 1 at [0]") == true) }
    }

    @Test("A text reaches every rank from any root, and texts are gathered in rank order")
    func sendsTexts() throws {
      for communicator in try World.splittings() {
        func text(_ rank: Int) -> String { String(repeating: "Ä\0", count: rank) + "\(rank)" }
        for root in 0..<communicator.size {
          #expect(try communicator.broadcast(text(communicator.rank), from: root) == text(root))
          #expect(try communicator.broadcast(communicator.rank == root ? "" : "x", from: root) == "")
        }
        let texts = [String](repeating: text(communicator.rank), count: communicator.rank)
        let all = (0..<communicator.size).flatMap { rank in [String](repeating: text(rank), count: rank) }
        #expect(try communicator.gather(texts: texts) == all)
      }
    }

    @Test("The first text is that of the lowest rank that has one, and names the rank")
    func findsFirstText() throws {
      let world = try World.communicator()
      #expect(try world.firstText("") == nil)
      #expect(try world.firstText("problem") == "problem")
      for speaker in 1..<max(2, world.size) where speaker < world.size {
        let text = world.rank >= speaker ? "disk full on \(world.rank)" : ""
        #expect(try world.firstText(text) == "rank \(speaker): disk full on \(speaker)")
      }
    }
  }
}
