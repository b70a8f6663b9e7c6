import Layers
import LowBit
import Models
import Tensors
import TestSupport
import Testing

/// Token sequences with random latents, and the numbers that a pass gives for them.
struct Sequences {
  let tiny: TinyModel
  let tokens: [[Int32]]
  /// Packed bits of each sequence.
  let latents: [[UInt8]]

  init(_ tiny: TinyModel, lengths: [Int], seed: UInt64) {
    self.tiny = tiny
    var numbers = RandomNumbers(seed: seed)
    tokens = lengths.map { numbers.tokens($0, vocabulary: tiny.model.configuration.vocabSize) }
    latents = lengths.map { numbers.bytes($0 * tiny.model.latentBytes) }
  }

  init(_ tiny: TinyModel, tokens: [[Int32]], latents: [[UInt8]]) {
    self.tiny = tiny
    self.tokens = tokens
    self.latents = latents
  }

  /// Everything that a token's prediction consists of, for the rows of one batch in order.
  struct Outcome: CustomTestStringConvertible {
    var hidden: [Float] = []
    var logits: [Float] = []
    var logProbabilities: [Float] = []
    var entropies: [Float] = []
    var values: [Float] = []

    var testDescription: String { "\(values.count) rows, values \(values.prefix(3))…" }

    func sameBits(as other: Outcome) -> Bool {
      TestSupport.sameBits(hidden, other.hidden) && TestSupport.sameBits(logits, other.logits)
        && TestSupport.sameBits(logProbabilities, other.logProbabilities)
        && TestSupport.sameBits(entropies, other.entropies) && TestSupport.sameBits(values, other.values)
    }

    /// Rows `range`, for a width d of h and a vocabulary V.
    func rows(_ range: Range<Int>, dim: Int, vocabulary: Int) -> Outcome {
      Outcome(
        hidden: Array(hidden[range.lowerBound * dim..<range.upperBound * dim]),
        logits: Array(logits[range.lowerBound * vocabulary..<range.upperBound * vocabulary]),
        logProbabilities: Array(logProbabilities[range]), entropies: Array(entropies[range]),
        values: Array(values[range]))
    }

    static func += (sum: inout Outcome, part: Outcome) {
      sum.hidden += part.hidden
      sum.logits += part.logits
      sum.logProbabilities += part.logProbabilities
      sum.entropies += part.entropies
      sum.values += part.values
    }
  }

  /// The outcome of `part` of each named sequence, as one batch.
  func outcome(
    _ parts: [(sequence: Int, range: Range<Int>)], caches: [KeyValueCache]? = nil, retention: Retention = .nothing,
    temperature: Float = 0.8
  ) -> Outcome {
    let model = tiny.model
    let context = tiny.context
    return context.arena.scoped {
      var spans: [Span] = []
      var first = 0
      var bits: [UInt8] = []
      var targets: [Int32] = []
      for part in parts {
        spans.append(Span(first: first, count: part.range.count, position: part.range.lowerBound))
        first += part.range.count
        let bytes = model.latentBytes
        bits += latents[part.sequence][part.range.lowerBound * bytes..<part.range.upperBound * bytes]
        targets += part.range.map { $0 + 1 < tokens[part.sequence].count ? tokens[part.sequence][$0 + 1] : -1 }
      }
      let batch = TokenBatch(tokens: parts.flatMap { tokens[$0.sequence][$0.range] }, spans: spans, in: context.arena)
      let prefix = model.prefix(batch, tiny.weights, context)
      let pass = model.trunk(
        prefix, latents: model.diffusion == nil ? nil : context.arena.view(of: bits), caches: caches,
        retention: retention, tiny.weights, context)
      let logits = context.arena.matrix(batch.tokens.count, model.configuration.vocabSize)
      let distribution = model.head.forward(
        model.head.input(pass.hidden, tiny.forward), targets: context.arena.view(of: targets),
        temperature: temperature, keep: logits, tiny.forward)
      let rows = 0..<batch.tokens.count
      return Outcome(
        hidden: pass.hidden.array, logits: logits.array, logProbabilities: rows.map { distribution.logProbability[$0] },
        entropies: rows.map { distribution.entropy[$0] }, values: model.values(pass.hidden, tiny.weights))
    }
  }

  /// Each whole sequence alone.
  func alone(_ sequence: Int) -> Outcome { outcome([(sequence, 0..<tokens[sequence].count)]) }

  func rows(_ outcome: Outcome, _ range: Range<Int>) -> Outcome {
    outcome.rows(range, dim: tiny.model.configuration.dim, vocabulary: tiny.model.configuration.vocabSize)
  }
}
