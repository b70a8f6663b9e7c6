import Tensors

/// Times causal attention of one head on one thread, forward and backward. The fp32 GEMM of oneDNN serves as the peak rate of
/// the processor.
public enum AttentionBenchmark {
  private static let features = 64

  /// Measures sequences of several lengths and a single query against a cache, for about `seconds` each.
  public static func measure(seconds: Double) -> [BenchmarkRow] {
    let timer = PairedTimer(seconds: seconds)
    let peak = OneDNNProduct(.fp32, rows: 512, outputs: 1024, inputs: 512).map { product in
      2 * 512 * 1024 * 512 / timer.measure(product.run)
    }
    let limit = peak.map { (name: "oneDNN fp32 512×1024×512", rate: $0) }
    var rows: [BenchmarkRow] = []
    for length in [128, 512, 2048] {
      rows.append(forward(queries: length, of: length, timer, limit))
      rows.append(backward(length, timer, limit))
    }
    for length in [128, 512, 2048] { rows.append(forward(queries: 1, of: length, timer, limit)) }
    return rows
  }

  private static func forward(
    queries: Int, of length: Int, _ timer: PairedTimer, _ limit: (name: String, rate: Double)?
  ) -> BenchmarkRow {
    let head = Head(length, features)
    let seconds = timer.measure {
      Kernels.table.pointee.attention(
        Int64(queries), Int64(length - queries), Int64(features), 0.125, head.q, Int64(features), head.keys, head.v,
        Int64(features), head.out, Int64(features), head.maxima, head.inverses, head.scratch)
    }
    // Each query attends to the keys up to its position, in two products.
    let pairs = (length - queries + 1...length).reduce(0, +)
    return BenchmarkRow(
      "attention forward, \(queries) of \(length) positions", seconds: seconds, work: Double(4 * pairs * features),
      unit: .operations, limit: limit)
  }

  private static func backward(
    _ length: Int, _ timer: PairedTimer, _ limit: (name: String, rate: Double)?
  ) -> BenchmarkRow {
    let head = Head(length, features)
    let row = Int64(features)
    let kernels = Kernels.table.pointee
    kernels.attention(
      Int64(length), 0, row, 0.125, head.q, row, head.keys, head.v, row, head.out, row, head.maxima, head.inverses,
      head.scratch)
    let seconds = timer.measure {
      kernels.attention_backward(
        Int64(length), row, 0.125, head.q, head.k, head.v, row, head.keys, head.values, head.out, head.gradient, row,
        head.maxima, head.inverses, head.dq, head.dk, head.dv, row, head.scratch)
    }
    // Five products: recomputed scores, their gradient, and the gradients of queries, keys and values.
    return BenchmarkRow(
      "attention backward, \(length) positions", seconds: seconds,
      work: Double(10 * length * (length + 1) / 2 * features), unit: .operations, limit: limit)
  }

  /// Reproducible random inputs of one head between −1 and 1, with keys and values also in blocks of sixteen.
  private final class Head {
    private let arena = Arena()
    let (q, k, v, keys, values): (Numbers, Numbers, Numbers, Numbers, Numbers)
    let (out, gradient, dq, dk, dv): (Numbers, Numbers, Numbers, Numbers, Numbers)
    let (maxima, inverses, scratch): (Numbers, Numbers, Numbers)

    typealias Numbers = UnsafeMutablePointer<Float>

    init(_ length: Int, _ features: Int) {
      var state: UInt32 = 1
      let arena = arena
      func numbers(_ count: Int, random: Bool = true) -> Numbers {
        let result = arena.allocate(Float.self, count)
        for index in 0..<count {
          state = state &* 1_664_525 &+ 1_013_904_223
          result[index] = random ? Float(Int32(bitPattern: state)) / 2_147_483_648 : 0
        }
        return result
      }
      func blocked(_ rows: Numbers) -> Numbers {
        let result = numbers((length + 15) / 16 * 16 * features, random: false)
        for position in 0..<length {
          for index in 0..<features {
            result[(position / 16 * features + index) * 16 + position % 16] = rows[position * features + index]
          }
        }
        return result
      }
      let count = length * features
      (q, k, v) = (numbers(count), numbers(count), numbers(count))
      (keys, values) = (blocked(k), blocked(v))
      (out, gradient) = (numbers(count, random: false), numbers(count))
      (dq, dk, dv) = (numbers(count, random: false), numbers(count, random: false), numbers(count, random: false))
      (maxima, inverses) = (numbers(length, random: false), numbers(length, random: false))
      scratch = numbers(4 * (length + 16), random: false)
    }
  }
}
