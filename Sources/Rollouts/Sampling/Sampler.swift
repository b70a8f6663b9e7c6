import Foundation
import Layers
import LowBit
import Models
import Parameters
import Tensors

/// Generates trajectories from a policy replica, in batches, with a key-value cache.
///
/// The trajectories of a prompt share its latents and prefill. Every random number is keyed by global ids and absolute
/// positions, and a row's arithmetic does not depend on its batch: a trajectory has the same bits in every batch and on
/// every rank, and its log-probabilities are those of the training forward pass.
public struct Sampler: Sendable {
  /// One prompt and the trajectories requested for it.
  public struct Request: Sendable {
    public let prompt: [Int32]
    /// Global trajectory numbers.
    public let trajectories: [UInt64]
    /// The trajectory number that keys the prompt's latents.
    public let promptID: UInt64
    /// The maximum number of generated tokens of each; nil: the options' `maxNewTokens`.
    public let limit: Int?

    /// - Parameter promptID: the number of the group's first trajectory, if the request is for other trajectories of the
    ///   group; nil: the first of `trajectories`.
    public init(prompt: [Int32], trajectories: [UInt64], promptID: UInt64? = nil, limit: Int? = nil) {
      precondition(!prompt.isEmpty, "a prompt without tokens")
      precondition(!trajectories.isEmpty, "a request for no trajectory")
      self.prompt = prompt
      self.trajectories = trajectories
      self.promptID = promptID ?? trajectories[0]
      self.limit = limit
    }
  }

  public let model: QuillanModel
  public let options: SamplingOptions
  /// The ids that end a sequence.
  public let endTokens: [Int32]
  public let seed: UInt64
  /// The default of `maximumBatch`.
  public static let standardBatch = 256

  /// The maximum number of sequences decoded together. It bounds memory and does not change results.
  public let maximumBatch: Int

  public init(
    model: QuillanModel, options: SamplingOptions, endToken: Int32, seed: UInt64,
    maximumBatch: Int = Sampler.standardBatch
  ) {
    self.init(model: model, options: options, endTokens: [endToken], seed: seed, maximumBatch: maximumBatch)
  }

  public init(
    model: QuillanModel, options: SamplingOptions, endTokens: [Int32], seed: UInt64,
    maximumBatch: Int = Sampler.standardBatch
  ) {
    self.model = model
    self.options = options
    self.endTokens = endTokens
    self.seed = seed
    self.maximumBatch = maximumBatch
  }

  /// A newly drawn token.
  public struct Draw {
    /// The index of the request, and of the trajectory in the request.
    public let request: Int
    public let sample: Int
    public let token: Int32
    /// log π(token), before filters and repetition penalty.
    public let logProbability: Float
    let logits: UnsafeBufferPointer<Float>
    let logSumExp: Float

    /// The `count` most probable tokens with their log-probabilities; valid only during the observer's call.
    public func likeliest(_ count: Int) -> [(token: Int32, logProbability: Float)] {
      var best: [Int] = []
      for index in logits.indices {
        if best.count == count, let last = best.last, logits[index] <= logits[last] { continue }
        let position = best.firstIndex { logits[index] > logits[$0] } ?? best.count
        best.insert(index, at: position)
        if best.count > count { best.removeLast() }
      }
      return best.map { (Int32($0), logits[$0] - logSumExp) }
    }
  }

  /// The trajectories of every request, in order.
  ///
  /// - Parameter observer: called with every token when it is drawn, in the order of trajectories; returning false ends
  ///   the trajectory.
  /// - Throws: `SamplingError` if logits are not finite.
  /// - Precondition: a prompt and the tokens that its request allows fit into the model's `max_seq_len`.
  public func sample(
    _ requests: [Request], _ weights: PackedModel, _ context: Context, observer: (Draw) -> Bool = { _ in true }
  ) throws -> [[Trajectory]] {
    let parts = requests.indices.flatMap { request in
      let count = requests[request].trajectories.count
      return stride(from: 0, to: count, by: maximumBatch).map {
        Part(request: request, samples: $0..<min(count, $0 + maximumBatch), whole: requests[request])
      }
    }
    var results = [[Trajectory]](repeating: [], count: requests.count)
    var first = 0
    while first < parts.count {
      var last = first + 1
      var sequences = parts[first].samples.count
      while last < parts.count, sequences + parts[last].samples.count <= maximumBatch {
        sequences += parts[last].samples.count
        last += 1
      }
      try wave(Array(parts[first..<last]), weights, context, observer, into: &results)
      first = last
    }
    return results
  }

  /// The trajectories of a request that are decoded together: all of them, or as many as a batch holds.
  private struct Part {
    let request: Int
    let samples: Range<Int>
    let whole: Request

    /// The id that keys the prompt's latents.
    var promptID: UInt64 { whole.promptID }
  }

  /// A sequence being decoded.
  private struct DecodedSequence {
    /// The index of the request, and of the trajectory in the request.
    let request: Int
    let sample: Int
    let id: UInt64
    let promptID: UInt64
    let promptLength: Int
    /// The maximum number of generated tokens.
    let limit: Int
    var tokens: [Int32]
    var latents: [UInt8]
    var logProbabilities: [Float] = []
    let cache: KeyValueCache
    var finished = false
    /// Whether the observer ended the sequence.
    var isEnded = false

    var generated: Int { tokens.count - promptLength }
  }

  /// Samples the trajectories of `parts` together and adds them to their requests' results.
  private func wave(
    _ parts: [Part], _ weights: PackedModel, _ context: Context, _ observer: (Draw) -> Bool,
    into results: inout [[Trajectory]]
  ) throws {
    var decoded: [DecodedSequence] = []
    try context.arena.scoped {
      let hidden = prefill(parts, weights, context, &decoded)
      var rows: [Int] = []
      for (index, part) in parts.enumerated() { rows += [Int](repeating: index, count: part.samples.count) }
      try extend(
        &decoded, Array(decoded.indices), model.gather(hidden, rows: context.arena.view(of: rows), context), weights,
        context, observer)
    }
    var active = decoded.indices.filter { isUnfinished(decoded[$0]) }
    while !active.isEmpty {
      try context.arena.scoped {
        let spans = active.enumerated().map { row, index in
          Span(first: row, count: 1, position: decoded[index].tokens.count - 1)
        }
        let tokens = active.map { decoded[$0].tokens[decoded[$0].tokens.count - 1] }
        let batch = TokenBatch(tokens: tokens, spans: spans, in: context.arena)
        let prefix = model.prefix(batch, weights, context)
        let latents = sampleLatents(prefix, active.map { identity(decoded[$0]) }, weights, context)
        for (row, index) in active.enumerated() { append(latents, row, to: &decoded[index]) }
        let pass = model.trunk(
          prefix, latents: latents, caches: active.map { decoded[$0].cache }, retention: .nothing, weights, context)
        try extend(&decoded, active, pass.hidden, weights, context, observer)
      }
      active = active.filter { isUnfinished(decoded[$0]) }
    }
    addLastLatents(&decoded, weights, context)
    for sequence in decoded {
      results[sequence.request].append(
        Trajectory(
          id: sequence.id, promptID: sequence.promptID, promptLength: sequence.promptLength, tokens: sequence.tokens,
          mask: sequence.tokens.indices.map { $0 >= sequence.promptLength }, latents: sequence.latents,
          logProbabilities: sequence.logProbabilities, finished: sequence.finished))
    }
  }

  private func isUnfinished(_ sequence: DecodedSequence) -> Bool {
    !sequence.finished && !sequence.isEnded && sequence.generated < sequence.limit
  }

  /// The identity of the latents at a sequence's last position.
  private func identity(_ sequence: DecodedSequence) -> ReasoningDiffusion.Identity {
    ReasoningDiffusion.Identity(sequence: sequence.id, position: UInt32(sequence.tokens.count - 1))
  }

  /// Runs every prompt once, fills the caches, and returns h at each prompt's last position.
  private func prefill(
    _ parts: [Part], _ weights: PackedModel, _ context: Context, _ decoded: inout [DecodedSequence]
  ) -> Matrix {
    let hidden = context.arena.matrix(parts.count, model.configuration.dim)
    for (index, part) in parts.enumerated() {
      let prompt = part.whole.prompt
      let length = prompt.count
      let limit = part.whole.limit ?? options.maxNewTokens
      precondition(
        length + limit <= model.configuration.maxSeqLen,
        "a prompt of \(length) tokens and \(limit) new ones exceed \(model.configuration.maxSeqLen)")
      let cache = model.makeCache(positions: length)
      var latents: [UInt8] = []
      context.arena.scoped {
        let batch = TokenBatch(sequences: [prompt], in: context.arena)
        let prefix = model.prefix(batch, weights, context)
        let identities = (0..<length).map {
          ReasoningDiffusion.Identity(sequence: part.promptID, position: UInt32($0))
        }
        let bits = sampleLatents(prefix, identities, weights, context)
        if let bits { latents = Array(bits) }
        let pass = model.trunk(
          prefix, latents: bits, caches: [cache], retention: .nothing, weights, context)
        hidden.row(index).update(from: pass.hidden.row(length - 1), count: hidden.columns)
      }
      for sample in part.samples {
        let copy = model.makeCache(positions: length + limit)
        copy.copyPrefix(length, from: cache)
        decoded.append(
          DecodedSequence(
            request: part.request, sample: sample, id: part.whole.trajectories[sample], promptID: part.promptID,
            promptLength: length, limit: limit, tokens: prompt, latents: latents, cache: copy))
      }
    }
    return hidden
  }

  private func sampleLatents(
    _ prefix: PrefixPass, _ identities: [ReasoningDiffusion.Identity], _ weights: PackedModel, _ context: Context
  ) -> ArrayView<UInt8>? {
    guard let diffusion = model.diffusion else { return nil }
    let bits = context.arena.view(UInt8.self, identities.count * model.latentBytes)
    diffusion.sample(prefix.xContext, identities: identities, seed: seed, weights, into: bits, context)
    return bits
  }

  private func append(_ latents: ArrayView<UInt8>?, _ row: Int, to sequence: inout DecodedSequence) {
    guard let latents else { return }
    let bytes = model.latentBytes
    sequence.latents += latents.part(row * bytes..<(row + 1) * bytes)
  }

  /// Draws the next token of sequences `indices` from rows of h.
  private func extend(
    _ decoded: inout [DecodedSequence], _ indices: [Int], _ hidden: Matrix, _ weights: PackedModel, _ context: Context,
    _ observer: (Draw) -> Bool
  ) throws(SamplingError) {
    let vocabulary = model.configuration.vocabSize
    let generator = Philox(seed: seed)
    let chooser = TokenChooser(options: options)
    let logits = context.arena.matrix(indices.count, vocabulary)
    let pass = ForwardLane(weights, context.main)
    let distribution = model.head.forward(
      model.head.input(hidden, pass), targets: context.arena.view(repeating: -1, count: indices.count),
      temperature: options.temperature, keep: logits, pass)
    let probabilities = UnsafeMutableBufferPointer(
      start: context.arena.allocate(Float.self, vocabulary), count: vocabulary)
    for (row, index) in indices.enumerated() {
      let values = logits.row(row)
      let logSumExp = distribution.logSumExp[row]
      let unpenalized = penalize(values, decoded[index].tokens)
      let normalizer = unpenalized.isEmpty ? logSumExp : Self.logSumExp(values, count: vocabulary)
      // If a logit is NaN, the sum is NaN.
      guard logSumExp.isFinite, normalizer.isFinite else {
        throw SamplingError(trajectory: decoded[index].id, position: decoded[index].tokens.count)
      }
      if !options.greedy {
        for entry in 0..<vocabulary { probabilities[entry] = values[entry] - normalizer }
        if let base = probabilities.baseAddress { Vector(base, count: vocabulary).exponentiate() }
      }
      let word = generator.word(
        stream: .tokenSampling, sequence: decoded[index].id, position: UInt32(decoded[index].tokens.count))
      let token = chooser.choose(values, probabilities, uniform: Philox.uniform(word))
      for (seen, value) in unpenalized { values[Int(seen)] = value }
      decoded[index].tokens.append(Int32(token))
      decoded[index].logProbabilities.append(values[token] - logSumExp)
      decoded[index].finished = endTokens.contains(Int32(token))
      let draw = Draw(
        request: decoded[index].request, sample: decoded[index].sample, token: Int32(token),
        logProbability: values[token] - logSumExp,
        logits: UnsafeBufferPointer(start: values, count: vocabulary), logSumExp: logSumExp)
      decoded[index].isEnded = !observer(draw)
    }
  }

  /// Applies the repetition penalty to the logits of `tokens`; returns their former values.
  private func penalize(_ logits: UnsafeMutablePointer<Float>, _ tokens: [Int32]) -> [(Int32, Float)] {
    let penalty = options.repetitionPenalty
    guard penalty != 1 else { return [] }
    return Set(tokens).map { token in
      let value = logits[Int(token)]
      logits[Int(token)] = value > 0 ? value / penalty : value * penalty
      return (token, value)
    }
  }

  private static func logSumExp(_ logits: UnsafePointer<Float>, count: Int) -> Float {
    var maximum = logits[0]
    for index in 1..<max(1, count) where logits[index] > maximum { maximum = logits[index] }
    var sum = 0.0
    for index in 0..<count { sum += exp(Double(logits[index] - maximum)) }
    return maximum + Float(log(sum))
  }

  /// Draws the latents of the last tokens, which the layers have not processed.
  private func addLastLatents(_ decoded: inout [DecodedSequence], _ weights: PackedModel, _ context: Context) {
    guard model.diffusion != nil else { return }
    context.arena.scoped {
      let tokens = decoded.map { $0.tokens[$0.tokens.count - 1] }
      let spans = decoded.enumerated().map { Span(first: $0, count: 1, position: $1.tokens.count - 1) }
      let prefix = model.prefix(TokenBatch(tokens: tokens, spans: spans, in: context.arena), weights, context)
      let latents = sampleLatents(prefix, decoded.map(identity), weights, context)
      for index in decoded.indices { append(latents, index, to: &decoded[index]) }
    }
  }
}
