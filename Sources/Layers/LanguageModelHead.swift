import CKernels
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
  public struct Distribution: @unchecked Sendable {
    public let rows: Int
    /// log Σ exp(logit/temperature) [R]
    public let logSumExp: UnsafeMutablePointer<Float>
    /// −Σ p log p in nats [R]
    public let entropy: UnsafeMutablePointer<Float>
    /// log p(target) [R]; 0 if the target is negative.
    public let logProbability: UnsafeMutablePointer<Float>
  }

  private var chunks: Int { (vocabulary + Self.chunk - 1) / Self.chunk }

  /// The rows rounded or quantised for products with the head.
  public func input(_ h: Matrix, _ weights: PackedModel, _ lane: Lane) -> QuantizedInput {
    linear.input(h, weights, lane)
  }

  /// Writes the logits of one chunk, divided by `temperature`, to `out` [R, width].
  private func logits(
    _ input: QuantizedInput, chunk: Int, temperature: Float, _ weights: PackedModel, into out: Matrix, _ lane: Lane
  ) {
    let first = chunk * Self.chunk / 16
    input.multiply(
      by: weights.weights(linear.weight), panels: first..<first + VectorLanes.panels(out.columns), bias: nil, into: out,
      pool: lane.pool)
    if temperature != 1 { for index in 0..<out.count { out.pointer[index] /= temperature } }
  }

  private func width(_ chunk: Int) -> Int { min(Self.chunk, vocabulary - chunk * Self.chunk) }

  /// The distribution of each row. With `keep` [R, V], also writes the divided logits there.
  ///
  /// - Parameter targets: the token whose log-probability is wanted, or −1.
  public func forward(
    _ input: QuantizedInput, targets: UnsafePointer<Int32>, temperature: Float, _ weights: PackedModel,
    keep: Matrix? = nil, _ lane: Lane
  ) -> Distribution {
    let rows = input.rows
    let result = Distribution(
      rows: rows, logSumExp: lane.arena.allocate(Float.self, rows), entropy: lane.arena.allocate(Float.self, rows),
      logProbability: lane.arena.allocate(Float.self, rows))
    lane.scratch.scoped {
      let maxima = lane.scratch.matrix(rows, chunks)
      let sums = lane.scratch.matrix(rows, chunks)
      let weighted = lane.scratch.matrix(rows, chunks)
      for chunk in 0..<chunks {
        lane.scratch.scoped {
          let part = lane.scratch.matrix(rows, width(chunk))
          logits(input, chunk: chunk, temperature: temperature, weights, into: part, lane)
          lane.pool.split(rows, least: 16) { _, range in
            for row in range {
              let place = row * chunks + chunk
              Kernels.table.pointee.logit_partial(
                Int64(part.columns), part.row(row), maxima.pointer + place, sums.pointer + place,
                weighted.pointer + place)
              let offset = Int(targets[row]) - chunk * Self.chunk
              if offset >= 0, offset < part.columns { result.logProbability[row] = part.row(row)[offset] }
              if let keep { (keep.row(row) + chunk * Self.chunk).update(from: part.row(row), count: part.columns) }
            }
          }
        }
      }
      for row in 0..<rows {
        fold(maxima.row(row), sums.row(row), weighted.row(row), result, row)
        result.logProbability[row] = targets[row] < 0 ? 0 : result.logProbability[row] - result.logSumExp[row]
      }
    }
    return result
  }

  private func fold(
    _ maxima: UnsafePointer<Float>, _ sums: UnsafePointer<Float>, _ weighted: UnsafePointer<Float>,
    _ result: Distribution, _ row: Int
  ) {
    var most = maxima[0]
    for chunk in 1..<max(1, chunks) where maxima[chunk] > most { most = maxima[chunk] }
    var sum: Float = 0
    var slope: Float = 0
    for chunk in 0..<chunks {
      let shift = maxima[chunk] - most
      let factor = ck_reference_exp(shift)
      sum += factor * sums[chunk]
      slope += factor * (weighted[chunk] + shift * sums[chunk])
    }
    let logSum = Float(ck_log(Double(sum)))
    result.logSumExp[row] = most + logSum
    result.entropy[row] = logSum - slope / sum
  }

  /// Adds to `dh` [R, d] and to the embedding's gradient, given dL/dlogp and dL/dentropy of each row. Logits are
  /// recomputed chunk by chunk.
  public func backward(
    _ input: QuantizedInput, targets: UnsafePointer<Int32>, temperature: Float, _ distribution: Distribution,
    dLogProbability: UnsafePointer<Float>, dEntropy: UnsafePointer<Float>, _ weights: PackedModel,
    _ gradients: Gradients, into dh: Matrix, _ lane: Lane
  ) {
    let packed = weights.weights(linear.weight)
    let scratch = lane.scratch
    scratch.scoped {
      for chunk in 0..<chunks {
        scratch.scoped {
          let part = scratch.matrix(input.rows, width(chunk))
          logits(input, chunk: chunk, temperature: temperature, weights, into: part, lane)
          lane.pool.split(input.rows, least: 16) { _, range in
            for row in range {
              let offset = Int(targets[row]) - chunk * Self.chunk
              Kernels.table.pointee.logit_gradient(
                Int64(part.columns), part.row(row), distribution.logSumExp[row], distribution.entropy[row],
                Int64(targets[row] < 0 ? -1 : offset), dLogProbability[row], dEntropy[row], 1 / temperature)
            }
          }
          gradientProducts(part, input, first: chunk * Self.chunk, packed, gradients, into: dh, lane)
        }
      }
    }
  }

  /// dh += dl·Ê and dE += dlᵀ·ĥ for the vocabulary entries first..<first + dl.columns.
  private func gradientProducts(
    _ dl: Matrix, _ input: QuantizedInput, first: Int, _ packed: PackedWeights, _ gradients: Gradients,
    into dh: Matrix, _ lane: Lane
  ) {
    let target = Matrix(
      gradients.pointer(linear.weight) + first * packed.columns, rows: dl.columns, columns: packed.columns)
    let rows = lane.scratch.matrix(dl.columns, packed.columns)
    lane.pool.split(rows.rows, least: 64) { _, range in
      packed.unpack(0, rows: first + range.lowerBound..<first + range.upperBound, into: rows.row(range.lowerBound))
    }
    if gradients.mixedPrecision {
      addMixedProduct(dl, rows, to: dh, lane)
      addWeightGradient(dl, input, to: target, lane)
    } else {
      addProduct(dl, rows, to: dh, lane.pool)
      addOuterProduct(dl, input.dequantized(in: lane.scratch), to: target, lane.pool)
    }
  }
}
