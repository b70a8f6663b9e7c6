import CKernels
import COpenBLAS
import LowBit
import Tensors

/// Times the kernels: GEMMs in every format compared with oneDNN and OpenBLAS, attention and quantisation.
///
/// GEMMs are y = x̂ Ŵᵀ with prepared activations and packed weights on both sides, for a training batch, a small batch and
/// one token.
public enum KernelBenchmark {
  /// The result for one operation, measured alone or compared with a reference.
  public struct Row: Sendable {
    /// For example `int4 16×1024×512`.
    public let operation: String
    /// Median seconds of one call.
    public let seconds: Double
    /// Work of one call in `unit`.
    public let work: Double
    /// `operations` (multiplications and additions) or `bytes` (read).
    public let unit: String
    /// The name of the reference; nil if measured alone.
    public let reference: String?
    public let referenceSeconds: Double?
    /// Speed relative to the reference (above 1 is faster): the median over pairs of neighbouring samples.
    public let speed: Double?

    /// 10⁹ `unit` per second.
    public var rate: Double { work / seconds / 1e9 }
    public var referenceRate: Double? { referenceSeconds.map { work / $0 / 1e9 } }
  }

  /// Numbers of tokens of the products, which have 1024 outputs and 512 inputs.
  public static let productRows = [512, 16, 1]
  static let outputs = 1024
  static let inputs = 512

  /// Measures all operations for about `seconds` each: one thread compared with the libraries and, if `threads` > 1, the
  /// speed-up of several threads.
  public static func measure(seconds: Double = 0.1, threads: Int = 1) -> [Row] {
    let timer = PairedTimer(seconds: seconds)
    openblas_set_num_threads(1)
    var rows: [Row] = []
    for format in NumberFormat.allCases {
      for count in productRows { rows += products(format, count, timer) }
    }
    for count in productRows { rows += bfloat16Orders(count, timer) }
    rows += [quantization(timer)] + [512, 1].map { attention(queries: $0, timer) }
    for count in Set([1, threads]).sorted() { rows += fromMemory(threads: count, timer) }
    if threads > 1 { rows += scaling(threads: threads, timer) }
    return rows
  }

  private static func products(_ format: NumberFormat, _ count: Int, _ timer: PairedTimer) -> [Row] {
    let pool = WorkerPool(threads: 1)
    let arena = Arena()
    let weights = PackedWeights(format: format, rows: outputs, columns: inputs)
    let masters = numbers(outputs * inputs, in: arena)
    weights.pack(masters, pool: pool)
    let x = Matrix(numbers(count * inputs, in: arena), rows: count, columns: inputs)
    let input = QuantizedInput(x, for: weights, in: arena, pool: pool)
    let y = arena.matrix(count, outputs)
    let own = { input.multiply(by: weights, bias: nil, into: y, pool: pool) }
    func row(_ reference: String, _ outcome: PairedTimer.Outcome) -> Row {
      Row(
        operation: "\(format.rawValue) \(count)×\(outputs)×\(inputs)", seconds: outcome.first,
        work: 2 * Double(count * outputs * inputs), unit: "operations", reference: reference,
        referenceSeconds: outcome.second, speed: 1 / outcome.ratio)
    }
    var rows: [Row] = []
    let types = OneDNNProduct.Types(for: format)
    if let product = OneDNNProduct(types, rows: count, outputs: outputs, inputs: inputs) {
      rows.append(row("oneDNN \(types.rawValue)", timer.compare(own, product.run)))
    }
    if format == .fp32 {
      let other = arena.matrix(count, outputs)
      let sgemm = {
        cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasTrans, blasint(count), blasint(outputs), blasint(inputs), 1, x.pointer,
          blasint(inputs), masters, blasint(inputs), 0, other.pointer, blasint(outputs))
      }
      rows.append(row("OpenBLAS sgemm", timer.compare(own, sgemm)))
    }
    return rows
  }

  /// Quantisation to 8 bits of 512 tokens with 512 features.
  private static func quantization(_ timer: PairedTimer) -> Row {
    let arena = Arena()
    let pool = WorkerPool(threads: 1)
    let weights = PackedWeights(format: .int8, rows: 16, columns: inputs)
    let x = Matrix(numbers(512 * inputs, in: arena), rows: 512, columns: inputs)
    let seconds = timer.measure {
      arena.scoped { _ = QuantizedInput(x, for: weights, in: arena, pool: pool) }
    }
    return Row(
      operation: "quantise 512×\(inputs) to 8 bits", seconds: seconds, work: Double(4 * x.count), unit: "bytes",
      reference: nil, referenceSeconds: nil, speed: nil)
  }

  /// One head with 64 features: a whole sequence of 512 positions, or the last position against a cache.
  private static func attention(queries: Int, _ timer: PairedTimer) -> Row {
    let (length, features) = (512, 64)
    let arena = Arena()
    let q = Matrix(numbers(queries * features, in: arena), rows: queries, columns: features)
    let keysAndValues = Vector(numbers(2 * length * features, in: arena), count: 2 * length * features)
    let blocks = AttentionHead.Blocks(of: keysAndValues, features: features, in: arena)
    let head = AttentionHead(
      queries: q.part(rows: 0..<queries, columns: 0..<features), scale: 0.125,
      output: arena.matrix(queries, features).part(rows: 0..<queries, columns: 0..<features),
      maxima: arena.vector(queries), inverses: arena.vector(queries))
    let seconds = timer.measure { head.forward(position: length - queries, blocks, scratch: arena) }
    // Each query attends to the keys up to its position, in two products.
    let pairs = (length - queries + 1...length).reduce(0, +)
    return Row(
      operation: "attention, \(queries) of \(length) positions, 64 features", seconds: seconds,
      work: Double(4 * pairs * features), unit: "operations", reference: nil, referenceSeconds: nil, speed: nil)
  }

  /// Reproducible random numbers between −1 and 1.
  static func numbers(_ count: Int, in arena: Arena) -> UnsafeMutablePointer<Float> {
    let result = arena.allocate(Float.self, count)
    var state: UInt32 = 1
    for index in 0..<count {
      state = state &* 1_664_525 &+ 1_013_904_223
      result[index] = Float(Int32(bitPattern: state)) / 2_147_483_648
    }
    return result
  }
}
