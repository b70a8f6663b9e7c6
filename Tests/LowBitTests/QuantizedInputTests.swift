import LowBit
import Tensors
import TestSupport
import Testing

@Suite("Products in every number format")
struct QuantizedInputTests {
  /// Weights, inputs and a bias of one shape.
  struct Product {
    let weights: PackedWeights
    let masters: [Float]
    let x: [Float]
    let bias: [Float]
    let tokens: Int
    let group: Int

    init(_ format: NumberFormat, tokens: Int, rows: Int, columns: Int, group: Int, seed: UInt64) {
      var numbers = RandomNumbers(seed: seed)
      weights = PackedWeights(format: format, count: 2, rows: rows, columns: columns, int4Group: group)
      masters = numbers.normals(2 * rows * columns, scale: 0.1)
      x = numbers.normals(tokens * columns)
      bias = numbers.normals(rows)
      self.tokens = tokens
      self.group = group
      weights.pack(masters, pool: WorkerPool(threads: 1))
    }

    /// y of tokens `range`, computed alone, by the second matrix of the stack.
    func result(_ range: Range<Int>, threads: Int = 1) -> [Float] {
      let context = Context(threads: threads)
      let input = input(range, context)
      let out = context.arena.matrix(range.count, weights.rows)
      input.multiply(by: weights, matrix: 1, bias: context.arena.view(of: bias), into: out, pool: context.pool)
      return out.array
    }

    func input(_ range: Range<Int>, _ context: Context) -> QuantizedInput {
      let values = context.arena.matrix(range.count, weights.columns)
      for (row, token) in range.enumerated() {
        for column in 0..<weights.columns { values.row(row)[column] = x[token * weights.columns + column] }
      }
      return QuantizedInput(values, for: weights, in: context.arena, pool: context.pool)
    }
  }

  private func products(_ format: NumberFormat) -> [Product] {
    [(1, 1, 1, 64), (5, 17, 33, 64), (20, 48, 30, 10), (13, 33, 99, 33), (9, 65, 128, 64)].enumerated().map {
      Product(format, tokens: $1.0, rows: $1.1, columns: $1.2, group: $1.3, seed: UInt64($0))
    }
  }

  @Test("Activation values are those of the formula in double", arguments: NumberFormat.allCases)
  func activations(_ format: NumberFormat) {
    let context = Context(threads: 2)
    for product in products(format) {
      let values = product.input(0..<product.tokens, context).dequantized(in: context.arena).array
      let expected = WeightFormula.activations(format, product.x, columns: product.weights.columns)
      let relative = format.isInteger ? 0x1p-22 : 0
      #expect(zip(values, expected).allSatisfy { abs(Double($0) - $1) <= relative * abs($1) })
    }
  }

  @Test("y = x̂ Ŵᵀ + b in double, within the rounding of fp32 sums", arguments: NumberFormat.allCases)
  func values(_ format: NumberFormat) {
    for product in products(format) {
      let (rows, columns) = (product.weights.rows, product.weights.columns)
      let w = WeightFormula.weights(
        format, Array(product.masters[(rows * columns)...]), columns: columns, group: product.group)
      let x = WeightFormula.activations(format, product.x, columns: columns)
      let y = product.result(0..<product.tokens)
      for token in 0..<product.tokens {
        for row in 0..<rows {
          var (sum, size) = (Double(product.bias[row]), abs(Double(product.bias[row])))
          for column in 0..<columns {
            let term = x[token * columns + column] * w[row * columns + column]
            sum += term
            size += abs(term)
          }
          #expect(abs(Double(y[token * rows + row]) - sum) <= Double(columns + 4) * 0x1p-24 * size)
        }
      }
    }
  }

  @Test("A token's bits depend neither on the other tokens nor on the threads", arguments: NumberFormat.allCases)
  func independence(_ format: NumberFormat) {
    // Large enough to be divided among threads: many tokens by tokens, few by panels of outputs.
    let divided = [
      Product(format, tokens: 70, rows: 200, columns: 300, group: 100, seed: 9),
      Product(format, tokens: 5, rows: 500, columns: 300, group: 100, seed: 10),
    ]
    for product in products(format) + divided {
      let (tokens, rows) = (product.tokens, product.weights.rows)
      let whole = product.result(0..<tokens)
      for threads in 2...3 { #expect(sameBits(product.result(0..<tokens, threads: threads), whole)) }
      for token in stride(from: 0, to: tokens, by: max(1, tokens / 12)) {
        #expect(sameBits(product.result(token..<token + 1), Array(whole[token * rows..<(token + 1) * rows])))
      }
      let part = tokens / 3..<tokens
      #expect(sameBits(product.result(part, threads: 2), Array(whole[(part.lowerBound * rows)...])))
    }
  }

  @Test("Rows and gathered rows of an input give the bits of the whole", arguments: NumberFormat.allCases)
  func views(_ format: NumberFormat) {
    let context = Context(threads: 1)
    for product in products(format) where product.tokens > 3 {
      let rows = product.weights.rows
      let input = product.input(0..<product.tokens, context)
      let order: [Int32] = [3, 0, 3, Int32(product.tokens - 1), 1]
      let gathered = input.gather(context.arena.view(of: order), in: context.arena)
      let out = context.arena.matrix(order.count, rows)
      gathered.multiply(by: product.weights, bias: nil, into: out, pool: context.pool)
      for (row, token) in order.enumerated() {
        let alone = context.arena.matrix(1, rows)
        input.rows(Int(token)..<Int(token) + 1)
          .multiply(by: product.weights, bias: nil, into: alone, pool: context.pool)
        #expect(sameBits(alone.array, out.rows(row..<row + 1).array))
      }
      #expect(
        sameBits(
          gathered.dequantized(in: context.arena).rows(1..<2).array,
          input.dequantized(in: context.arena).rows(0..<1).array))
    }
  }

  @Test("No tokens give no outputs", arguments: NumberFormat.allCases)
  func empty(_ format: NumberFormat) {
    let product = Product(format, tokens: 1, rows: 5, columns: 7, group: 64, seed: 3)
    #expect(product.result(0..<0).isEmpty)
  }
}
