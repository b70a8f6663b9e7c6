import Foundation
import LowBit
import Tensors
import TestSupport
import Testing

@Suite("BitEncoder")
struct BitEncoderTests {
  struct Golden: Decodable {
    let bits: Int
    let values: [Float]
    let scale: Float
    let codes: [UInt8]
    let packed: [UInt8]
    let decoded: [Float]
  }

  static let widths = [1, 2, 4, 8]
  static let lengths = [1, 7, 8, 15, 17, 31, 33, 127, 129]

  static func values(_ count: Int, seed: UInt64) -> [Float] {
    let words = Philox(seed: seed).words(stream: .taskGeneration, sequence: 0, position: 0, count: 2 * count)
    return (0..<count).map { Float(Philox.normal(words[2 * $0], words[2 * $0 + 1])) }
  }

  @Test("Codes, bytes, scales and decoded values equal the golden ones", arguments: BitEncoder.Scaling.allCases)
  func golden(scaling: BitEncoder.Scaling) throws {
    let cases = try JSONDecoder().decode([Golden].self, from: Fixtures.data("golden/bit_encoder.json"))
    #expect(cases.map(\.bits) == Self.widths)
    for golden in cases {
      let encoder = BitEncoder(bits: golden.bits, scaling: scaling)
      let encoding = try encoder.encode(golden.values, shape: [golden.values.count])
      #expect(encoding.codes == golden.codes)
      #expect(encoding.packed == golden.packed)
      #expect(encoding.scales.count == 1 && abs(encoding.scales[0] - golden.scale) < 1e-6)
      #expect(zip(encoding.decode(), golden.decoded).allSatisfy { abs($0 - $1) < 1e-6 })
    }
  }

  @Test("A decoded value is within half a scale, and keeps its sign at 1 bit", arguments: widths)
  func bounds(bits: Int) throws {
    for scaling in BitEncoder.Scaling.allCases {
      for columns in Self.lengths {
        let x = Self.values(3 * columns, seed: UInt64(columns))
        let encoding = try BitEncoder(bits: bits, scaling: scaling).encode(x, shape: [3, columns])
        #expect(encoding.packed.count == 3 * ((columns * bits + 7) / 8))
        #expect(encoding.scales.count == (scaling == .perRow ? 3 : 1))
        for (index, decoded) in encoding.decode().enumerated() {
          let scale = encoding.scales[scaling == .perRow ? index / columns : 0]
          if bits == 1 {
            #expect(decoded == (x[index] > 0 ? scale : -scale))
          } else {
            #expect(abs(decoded - x[index]) <= scale / 2 * (1 + 1e-5))
          }
        }
      }
    }
  }

  @Test("Decoding and encoding again changes nothing", arguments: widths)
  func idempotence(bits: Int) throws {
    let encoder = BitEncoder(bits: bits)
    let encoding = try encoder.encode(Self.values(4 * 33, seed: 5), shape: [2, 2, 33])
    let again = try encoder.encode(encoding.decode(), shape: [2, 2, 33])
    #expect(again.packed == encoding.packed)
    #expect(zip(again.scales, encoding.scales).allSatisfy { abs($0 - $1) <= 2e-7 * $1 })
  }

  @Test("Rows are independent and padded with zero bits", arguments: widths)
  func raggedRows(bits: Int) throws {
    let encoder = BitEncoder(bits: bits)
    for columns in Self.lengths {
      let x = Self.values(2 * columns, seed: 9)
      let both = try encoder.encode(x, shape: [2, columns])
      let first = try encoder.encode(Array(x[..<columns]), shape: [columns])
      let second = try encoder.encode(Array(x[columns...]), shape: [1, columns])
      #expect(both.packed == first.packed + second.packed)
      #expect(both.scales == first.scales + second.scales)
      let used = columns * bits % 8
      if used != 0 { #expect(first.packed.last! >> UInt8(used) == 0) }
    }
  }

  @Test("Zeros have scale 0 and decode to zeros, alone or beside other rows", arguments: widths)
  func zeros(bits: Int) throws {
    let middle = UInt8(BitEncoder(bits: bits).largestMagnitude)
    let encoding = try BitEncoder(bits: bits).encode([0, -0.0, 0, 1, -2, 3], shape: [2, 3])
    #expect(encoding.scales[0] == 0)
    #expect(Array(encoding.codes[..<3]) == [middle, middle, middle])
    #expect(encoding.decode()[..<3].allSatisfy { $0 == 0 })
    let tensor = try BitEncoder(bits: bits, scaling: .perTensor).encode([0, 0, 0, 0], shape: [2, 2])
    #expect(tensor.scales == [0] && tensor.decode() == [0, 0, 0, 0])
    let empty = try BitEncoder(bits: bits).encode([], shape: [0, 5])
    #expect(empty.packed.isEmpty && empty.decode().isEmpty)
  }

  @Test("Ties round to even")
  func ties() throws {
    let encoding = try BitEncoder(bits: 4).encode([7, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5], shape: [7])
    #expect(encoding.scales == [1])
    #expect(encoding.codes.map { Int($0) - 7 } == [7, 0, 2, 2, 0, -2, -2])
  }

  @Test("The extremes of fp32 encode without a trap", arguments: widths)
  func extremes(bits: Int) throws {
    let large = Float.greatestFiniteMagnitude
    let tiny = Float.leastNonzeroMagnitude
    for x in [[large, -large, large], [tiny, -tiny, 0], [large, tiny, -1]] {
      let encoding = try BitEncoder(bits: bits).encode(x, shape: [3])
      #expect(encoding.scales[0].isFinite)
      #expect(encoding.codes.allSatisfy { Int($0) <= max(1, 2 * BitEncoder(bits: bits).largestMagnitude) })
    }
  }

  @Test("A value that is not finite is an error that names it", arguments: widths)
  func nonFinite(bits: Int) {
    for (value, scaling) in zip([Float.nan, .infinity], BitEncoder.Scaling.allCases) {
      let error = #expect(throws: BitEncoderError.self) {
        try BitEncoder(bits: bits, scaling: scaling).encode([1, 2, 3, value], shape: [2, 2])
      }
      #expect(error?.element == 3)
    }
  }

  @Test("Packed signs are the codes of 1 bit")
  func signs() throws {
    for columns in Self.lengths {
      let x = Self.values(columns, seed: 77)
      var packed = [UInt8](repeating: 0xAA, count: (columns + 7) / 8)
      packed.withUnsafeMutableBufferPointer { packed in
        x.withUnsafeBufferPointer { BitEncoder.packSigns($0, into: packed) }
      }
      #expect(try packed == BitEncoder(bits: 1).encode(x, shape: [columns]).packed)
    }
  }
}
