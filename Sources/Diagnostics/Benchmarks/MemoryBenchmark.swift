import CKernels
import LowBit
import Optimizers
import Parameters
import Tensors

/// Times passes over whole tensors (optimizer, packing, gradient sums) compared with a loop that only reads, on the same
/// threads in alternating samples. The tensors are far larger than the caches.
public enum MemoryBenchmark {
  /// Number of elements of the tensor: 64 MiB in fp32.
  private static let count = 16 << 20

  /// Measures every pass for about `seconds`.
  ///
  /// The work of a pass is the minimum number of bytes that it must read and write. The limit is the rate of the reading
  /// loop, which a pass that also writes can exceed.
  public static func measure(seconds: Double, threads: Int) -> [BenchmarkRow] {
    let pool = WorkerPool(threads: threads)
    let timer = PairedTimer(seconds: seconds)
    let table = ParameterTable([ParameterSpecification("a.weight", [count / 512, 512], .dense, .zeros)])
    let (weights, gradients) = (ParameterStore(table), ParameterStore(table))
    fill(weights, scale: 0.1)
    fill(gradients, scale: 1e-3)
    var rows: [BenchmarkRow] = []
    /// Reads all gradients once.
    let read = { reading(gradients.buffer, pool) }
    func add(_ name: String, bytes: Int, _ pass: () -> Void) {
      let outcome = timer.compare(pass, read)
      let limit = Double(4 * count) / outcome.second
      // The rate for the median ratio. The medians of the two sides may come from different load conditions.
      let seconds = outcome.ratio * outcome.second
      rows.append(
        BenchmarkRow(name, seconds: seconds, work: Double(bytes), unit: .bytes, limit: ("reading loop", limit)))
    }
    let readSeconds = timer.measure(read)
    rows.append(BenchmarkRow("read", seconds: readSeconds, work: Double(4 * count), unit: .bytes))
    for format in MomentFormat.allCases {
      let state = AdamWState(
        AdamW(), table: table, parts: [ParameterPart(ParameterID(0), 0..<count)], format: format, threads: threads)
      var step = 0
      add("AdamW, \(format.rawValue) moments", bytes: 12 * count + 4 * format.bytes(count)) {
        step += 1
        state.step(
          masters: weights, gradients: gradients, learningRate: 1e-5, step: step, clipScale: 1, pool: pool)
      }
    }
    for format in NumberFormat.allCases {
      let packed = PackedWeights(format: format, count: count / (1024 * 512), rows: 1024, columns: 512)
      add("pack \(format.rawValue), 1024×512", bytes: 4 * count + packed.data.count + 4 * packed.scales.count) {
        packed.pack(weights.buffer.pointer, pool: pool)
      }
    }
    let squares = SquaredSums(table, counting: table.ids)
    add("squared sum of gradients", bytes: 4 * count) { squares.take(from: gradients, pool: pool) }
    let sums = AlignedBuffer<Int64>(count: count / 2)
    add("fixed-point addition", bytes: 20 * sums.count) {
      sums.clear(pool)
      _ = pool.firstFailure(sums.count) { range in
        ck_fixed_add(
          Int64(range.count), 1 << 61, gradients.buffer.pointer + range.lowerBound, sums.pointer + range.lowerBound)
      }
    }
    add("clear gradients", bytes: 4 * count) { gradients.buffer.clear(pool) }
    return rows
  }

  /// Reads all elements once, by a search that finds nothing.
  static func reading(_ buffer: AlignedBuffer<Float>, _ pool: WorkerPool) {
    let found = pool.firstFailure(buffer.count) { range in
      ck_first_nonfinite(Int64(range.count), buffer.pointer + range.lowerBound)
    }
    precondition(found == nil, "the numbers of the benchmark are finite")
  }

  private static func fill(_ store: ParameterStore, scale: Float) {
    var state: UInt32 = 1
    for index in 0..<store.buffer.count {
      state = state &* 1_664_525 &+ 1_013_904_223
      store.buffer.pointer[index] = scale * Float(Int32(bitPattern: state)) / 2_147_483_648
    }
  }
}
