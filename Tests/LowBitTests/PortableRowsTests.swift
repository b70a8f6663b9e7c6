import LowBit
import Tensors
import TestSupport
import Testing

@Suite("Rows in files")
struct PortableRowsTests {
  private func packed(_ format: NumberFormat, columns: Int, seed: UInt64) -> PackedWeights {
    let weights = PackedWeights(format: format, count: 2, rows: 19, columns: columns, int4Group: 16)
    var numbers = RandomNumbers(seed: seed)
    let values = (0..<2 * 19 * columns).map { _ in numbers.normal(1) }
    values.withUnsafeBufferPointer { if let base = $0.baseAddress { weights.pack(base, pool: WorkerPool(threads: 1)) } }
    return weights
  }

  @Test(
    "Weights read from their rows are the same bits, at awkward lengths",
    arguments: NumberFormat.allCases, [1, 3, 7, 15, 16, 32, 48, 80])
  func roundTrip(format: NumberFormat, columns: Int) {
    let weights = packed(format, columns: columns, seed: 1)
    let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
    let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
    weights.exportRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 2))
    let again = PackedWeights(format: format, count: 2, rows: 19, columns: columns, int4Group: 16)
    #expect(again.importRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 2)) == nil)
    #expect(again.data.array == weights.data.array)
    #expect(sameBits(again.scales.array, weights.scales.array))
  }

  @Test("A row's codes lie lowest bits first, and mean scale · code")
  func meaning() {
    for (format, perByte, zero) in [(NumberFormat.ternary, 4, 1), (.int4, 2, 8)] {
      let weights = packed(format, columns: 48, seed: 2)
      let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
      let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
      weights.exportRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 1))
      var values = [Float](repeating: 0, count: 48)
      for row in 0..<38 {
        values.withUnsafeMutableBufferPointer {
          if let base = $0.baseAddress { weights.unpack(row / 19, rows: row % 19..<row % 19 + 1, into: base) }
        }
        for column in 0..<48 {
          let byte = Int(bytes[row * 48 / perByte + column / perByte])
          let code = byte >> (column % perByte * 8 / perByte) & (1 << (8 / perByte) - 1) - zero
          let scale = scales[row * weights.groups + column * weights.groups / 48]
          #expect(values[column] == scale * Float(code))
        }
      }
    }
  }

  @Test("Codes and scales that no weights have are reported by row")
  func badRows() {
    let bad: [(NumberFormat, UInt8)] = [(.ternary, 0b11), (.int4, 0), (.int8, 0x80)]
    for (format, code) in bad {
      let weights = packed(format, columns: 16, seed: 3)
      let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
      let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
      weights.exportRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 1))
      let row = PackedWeights.portableRowBytes(format, columns: 16)
      let kept = bytes[21 * row]
      bytes[21 * row] = code
      #expect(weights.importRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 1)) == 21)
      bytes[21 * row] = kept
      for wrong in [Float.nan, 0, -1, .infinity] {
        scales[30] = wrong
        #expect(weights.importRows(bytes: bytes.pointer, scales: scales.pointer, pool: WorkerPool(threads: 1)) == 30)
      }
    }
  }
}
