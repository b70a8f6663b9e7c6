import LowBit
import Parameters
import Tensors

/// The tied output head: logits = h Eᵀ in the head's format, reduced to log-probabilities and entropies.
///
/// The vocabulary is processed in chunks of `chunk` entries. Each chunk gives a row's maximum, Σ exp(l − max) and Σ
/// exp(l − max)·(l − max); chunks are combined in order. The sampler combines the same chunks, so a token's
/// log-probability is the same bits at rollout and in training, and training never holds a whole row of logits. Shapes:
/// R rows, d model width, V vocabulary.
public struct LanguageModelHead: Sendable {
  public let linear: Linear
  public let vocabulary: Int
  /// Vocabulary entries per chunk. The value determines the order of summation, so it is part of the definition.
  public static let chunk = 1024

  public init(embedding: ParameterID, vocabulary: Int) {
    linear = Linear(weight: embedding)
    self.vocabulary = vocabulary
  }

  /// The log-partition, entropy and target log-probability of each row at a temperature.
  public struct Distribution: Sendable {
    /// log Σ exp(logit/temperature) [R]
    public let logSumExp: Vector
    /// −Σ p log p in nats [R]
    public let entropy: Vector
    /// log p(target) [R]; 0 if the target is negative.
    public let logProbability: Vector
    /// The sums of each chunk of each row, chunks of a row side by side.
    let sums: ArrayView<LogitSums>
    /// The sums of the chunks of one row, of `LanguageModelHead.chunk` entries each.
    public func chunks(_ row: Int) -> ArrayView<LogitSums> {
      let count = sums.count / logSumExp.count
      return sums.part(row * count..<(row + 1) * count)
    }

    /// What the distribution was computed from; the backward pass reads it.
    fileprivate let input: QuantizedInput
    fileprivate let targets: ArrayView<Int32>
    fileprivate let temperature: Float
  }

  var chunks: Int { (vocabulary + Self.chunk - 1) / Self.chunk }

  /// The rows rounded or quantised for products with the head.
  public func input(_ h: Matrix, _ pass: ForwardLane) -> QuantizedInput { linear.input(h, pass) }

  /// Writes the logits of one chunk, divided by `temperature`, to `out` [R, width].
  private func logits(
    _ input: QuantizedInput, chunk: Int, temperature: Float, _ weights: PackedModel, into out: Matrix, _ lane: Lane
  ) {
    let first = chunk * Self.chunk / VectorLanes.count
    input.multiply(
      by: weights.weights(linear.weight), panels: first..<first + VectorLanes.panels(out.columns), bias: nil, into: out,
      pool: lane.pool)
    if temperature != 1 { out.divide(by: temperature) }
  }

  /// The vocabulary entries of a chunk.
  func entries(_ chunk: Int) -> Range<Int> {
    chunk * Self.chunk..<min((chunk + 1) * Self.chunk, vocabulary)
  }

  /// The distribution of each row. With `keep` [R, V], also writes the divided logits there; threads then take chunks,
  /// each in one loop from the product to its sums.
  ///
  /// - Parameter targets: the token whose log-probability is wanted, or −1 [R].
  public func forward(
    _ input: QuantizedInput, targets: ArrayView<Int32>, temperature: Float, keep: Matrix? = nil, _ pass: ForwardLane
  ) -> Distribution {
    let rows = input.rows
    precondition(targets.count == rows, "\(targets.count) targets of \(rows) rows")
    let arena = pass.arena
    let result = Distribution(
      logSumExp: arena.vector(rows), entropy: arena.vector(rows), logProbability: arena.vector(rows),
      sums: arena.view(LogitSums.self, rows * chunks), input: input, targets: targets, temperature: temperature)
    if let keep {
      keepLogits(keep, of: result, pass)
    } else {
      for chunk in 0..<chunks {
        pass.scratch.scoped {
          let entries = entries(chunk)
          let part = pass.scratch.matrix(rows, entries.count)
          logits(input, chunk: chunk, temperature: temperature, pass.weights, into: part, pass.lane)
          pass.pool.split(rows, cost: .transcendental(entries.count)) { _, range in
            for row in range { add(part[row], chunk, to: result, row) }
          }
        }
      }
    }
    pass.pool.each(rows, cost: .scalar(8 * chunks)) { _, row in
      combine(result.chunks(row), into: result, row)
      result.logProbability[row] = targets[row] < 0 ? 0 : result.logProbability[row] - result.logSumExp[row]
    }
    return result
  }

  /// Writes all divided logits, and the sums of their chunks.
  private func keepLogits(_ keep: Matrix, of result: Distribution, _ pass: ForwardLane) {
    let input = result.input
    precondition(
      keep.rows == input.rows && keep.columns == vocabulary, "logits in [\(keep.rows), \(keep.columns)]")
    let weights = pass.weights.weights(linear.weight)
    let cost = LoopCost.multiplyAdds(input.rows * input.columns * Self.chunk)
    pass.pool.spread(chunks, cost: cost) { _, chunk in
      let entries = entries(chunk)
      let first = entries.lowerBound / VectorLanes.count
      input.multiply(
        by: weights, panels: first..<first + VectorLanes.panels(entries.count), bias: nil,
        into: keep.part(rows: 0..<keep.rows, columns: entries))
      for row in 0..<input.rows {
        let logits = keep[row].part(entries)
        if result.temperature != 1 { logits.divide(by: result.temperature) }
        add(logits, chunk, to: result, row)
      }
    }
  }

  /// Stores the sums of one chunk of a row's logits, and the target's logit.
  private func add(_ logits: Vector, _ chunk: Int, to result: Distribution, _ row: Int) {
    result.sums[row * chunks + chunk] = logits.logitSums
    let target = Int(result.targets[row]) - chunk * Self.chunk
    if logits.indices.contains(target) { result.logProbability[row] = logits[target] }
  }

  /// The log-partition and entropy of a row, from the sums of its chunks in order.
  private func combine(_ sums: ArrayView<LogitSums>, into result: Distribution, _ row: Int) {
    var maximum = sums[0].maximum
    for chunk in sums.dropFirst() where chunk.maximum > maximum { maximum = chunk.maximum }
    var sum: Float = 0
    var weighted: Float = 0
    for chunk in sums {
      // The chunk's sums are relative to its own maximum; move them to the row's.
      let shift = chunk.maximum - maximum
      let factor = Kernels.exp(shift)
      sum += factor * chunk.sum
      weighted += factor * (chunk.weighted + shift * chunk.sum)
    }
    let logSum = Float(Kernels.log(Double(sum)))
    result.logSumExp[row] = maximum + logSum
    result.entropy[row] = logSum - weighted / sum
  }

  /// Adds to `dh` [R, d] and to the embedding's gradient, given dL/dlogp and dL/dentropy of each row [R]. Logits are
  /// recomputed chunk by chunk.
  public func backward(
    _ distribution: Distribution, dLogProbability: Vector, dEntropy: Vector, into dh: Matrix, _ pass: BackwardLane
  ) {
    let (input, targets) = (distribution.input, distribution.targets)
    for chunk in 0..<chunks {
      pass.scratch.scoped {
        let entries = entries(chunk)
        let part = pass.scratch.matrix(input.rows, entries.count)
        logits(input, chunk: chunk, temperature: distribution.temperature, pass.weights, into: part, pass.lane)
        pass.pool.split(input.rows, cost: .transcendental(entries.count)) { _, range in
          for row in range {
            part[row].replaceByLogitGradient(
              (distribution.logSumExp[row], distribution.entropy[row]),
              target: targets[row] < 0 ? -1 : Int(targets[row]) - entries.lowerBound,
              gradients: (dLogProbability[row], dEntropy[row]), factor: 1 / distribution.temperature)
          }
        }
        addProducts(part, entries, input, into: dh, pass)
      }
    }
  }

  /// dh += dl·Ê and dE += dlᵀ·ĥ for the vocabulary entries `entries`, with dl [R, entries].
  private func addProducts(
    _ dl: Matrix, _ entries: Range<Int>, _ input: QuantizedInput, into dh: Matrix, _ pass: BackwardLane
  ) {
    let packed = pass.weights.weights(linear.weight)
    let values = pass.scratch.matrix(entries.count, packed.columns)
    pass.pool.split(values.rows, cost: .moved(packed.columns)) { _, range in
      packed.unpack(
        0, rows: entries.lowerBound + range.lowerBound..<entries.lowerBound + range.upperBound,
        into: values.rows(range))
    }
    pass.addInputGradient(dl, values, to: dh)
    pass.addWeightGradient(dl, input, to: pass.gradients.rows(linear.weight).rows(entries))
  }
}
