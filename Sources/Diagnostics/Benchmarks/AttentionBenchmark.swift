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
    let operands = head.operands(queries)
    let seconds = timer.measure {
      operands.forward(position: length - queries, head.blocks, scratch: head.arena)
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
    let operands = head.operands(length)
    operands.forward(position: 0, head.blocks, scratch: head.arena)
    let seconds = timer.measure {
      operands.backward(
        keyRows: head.k.whole, keys: head.keys, values: head.values, dOutput: head.gradient.whole,
        addingTo: (queries: head.dq.whole, keys: head.dk.whole, values: head.dv.whole), scratch: head.arena)
    }
    // Five products: recomputed scores, their gradient, and the gradients of queries, keys and values.
    return BenchmarkRow(
      "attention backward, \(length) positions", seconds: seconds,
      work: Double(10 * length * (length + 1) / 2 * features), unit: .operations, limit: limit)
  }

  /// Reproducible random inputs of one head between −1 and 1, with keys and values also in blocks of sixteen.
  private final class Head {
    let arena = Arena()
    let (q, k, v): (Matrix, Matrix, Matrix)
    let (keys, values): (Vector, Vector)
    let blocks: AttentionHead.Blocks
    let (out, gradient, dq, dk, dv): (Matrix, Matrix, Matrix, Matrix, Matrix)
    let (maxima, inverses): (Vector, Vector)

    init(_ length: Int, _ features: Int) {
      var state: UInt32 = 1
      let arena = arena
      func random() -> Matrix {
        let result = arena.matrix(length, features)
        for index in 0..<result.count {
          state = state &* 1_664_525 &+ 1_013_904_223
          result.vector[index] = Float(Int32(bitPattern: state)) / 2_147_483_648
        }
        return result
      }
      func blocked(_ rows: Matrix) -> Vector {
        let result = arena.view(repeating: Float(0), count: (length + 15) / 16 * 16 * features)
        for position in 0..<length {
          for index in 0..<features {
            result[(position / 16 * features + index) * 16 + position % 16] = rows[position][index]
          }
        }
        return result
      }
      (q, k, v) = (random(), random(), random())
      (keys, values) = (blocked(k), blocked(v))
      let block = 16 * features
      let all = arena.view(Float.self, 2 * keys.count)
      for first in stride(from: 0, to: keys.count, by: block) {
        all.part(2 * first..<2 * first + block).copy(from: keys.part(first..<first + block))
        for offset in 0..<min(16, length - first / features) {
          let start = 2 * first + block + offset * features
          all.part(start..<start + features).copy(from: v[first / features + offset])
        }
      }
      blocks = AttentionHead.Blocks(of: all, features: features, in: arena)
      (out, gradient) = (arena.zeros(length, features), random())
      (dq, dk, dv) = (arena.zeros(length, features), arena.zeros(length, features), arena.zeros(length, features))
      (maxima, inverses) = (arena.vector(length), arena.vector(length))
    }

    /// The operands of the first `queries` queries.
    func operands(_ queries: Int) -> AttentionHead {
      AttentionHead(
        queries: q.rows(0..<queries).whole, scale: 0.125, output: out.rows(0..<queries).whole,
        maxima: maxima.part(0..<queries), inverses: inverses.part(0..<queries))
    }
  }
}

extension Matrix {
  fileprivate var whole: MatrixPart { part(rows: 0..<rows, columns: 0..<columns) }
}
