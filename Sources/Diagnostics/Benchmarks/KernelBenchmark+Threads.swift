import LowBit
import Tensors

extension KernelBenchmark {
  /// Bytes of packed weights that one token reads: several times the size of any cache.
  private static let memoryBytes = 96 << 20

  /// Products of one token with matrices read from memory, compared with a loop that reads as many bytes. Each thread has
  /// its own matrices, as with experts.
  static func fromMemory(threads: Int, _ timer: PairedTimer) -> [Row] {
    let pool = WorkerPool(threads: threads)
    let single = WorkerPool(threads: 1)
    return NumberFormat.allCases.map { format in
      let arena = Arena()
      func weights(_ count: Int) -> PackedWeights {
        PackedWeights(format: format, count: count, rows: outputs, columns: inputs)
      }
      let one = weights(1)
      let bytes = one.data.count + 4 * one.scales.count
      let all = weights(memoryBytes / bytes)
      // These bytes are finite numbers in every format. The time of the kernels does not depend on the values.
      all.data.bufferPointer.update(repeating: 0x55)
      all.scales.bufferPointer.update(repeating: 1)
      let input = QuantizedInput(
        Matrix(numbers(inputs, in: arena), rows: 1, columns: inputs), for: all, in: arena, pool: single)
      let y = arena.matrix(threads, outputs)
      let other = AlignedBuffer<Float>(count: all.count * bytes / 4)
      // Without this, all pages would be mapped to the same zero page.
      other.bufferPointer.update(repeating: 1)
      let outcome = timer.compare({
        pool.each(all.count) { worker, matrix in
          input.multiply(by: all, matrix: matrix, bias: nil, into: y.rows(worker..<worker + 1), pool: single)
        }
      }) { MemoryBenchmark.reading(other, pool) }
      return Row(
        operation: "\(format.rawValue) 1×\(outputs)×\(inputs) from memory\(suffix(threads))", seconds: outcome.first,
        work: Double(all.count * bytes), unit: "bytes", reference: "reading loop", referenceSeconds: outcome.second,
        speed: 1 / outcome.ratio)
    }
  }

  /// Products on several threads, compared with one thread.
  static func scaling(threads: Int, _ timer: PairedTimer) -> [Row] {
    let (several, single) = (WorkerPool(threads: threads), WorkerPool(threads: 1))
    return NumberFormat.allCases.flatMap { format in
      productRows.filter { $0 > 1 }.map { count in
        let arena = Arena()
        let weights = PackedWeights(format: format, rows: outputs, columns: inputs)
        weights.pack(numbers(outputs * inputs, in: arena), pool: single)
        let x = Matrix(numbers(count * inputs, in: arena), rows: count, columns: inputs)
        let input = QuantizedInput(x, for: weights, in: arena, pool: single)
        let y = arena.matrix(count, outputs)
        let outcome = timer.compare({ input.multiply(by: weights, bias: nil, into: y, pool: several) }) {
          input.multiply(by: weights, bias: nil, into: y, pool: single)
        }
        return Row(
          operation: "\(format.rawValue) \(count)×\(outputs)×\(inputs)\(suffix(threads))", seconds: outcome.first,
          work: 2 * Double(count * outputs * inputs), unit: "operations", reference: "one thread",
          referenceSeconds: outcome.second, speed: 1 / outcome.ratio)
      }
    }
  }

  private static func suffix(_ threads: Int) -> String { threads > 1 ? ", \(threads) threads" : "" }
}
