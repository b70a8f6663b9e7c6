import Layers
import LowBit
import Models
import Parameters
import Tensors

/// Generates trajectories from a policy replica, in batches, with a key-value cache.
///
/// The trajectories of a prompt share its latents and prefill. Every number is keyed by global ids and absolute
/// positions, and a row's arithmetic does not depend on its batch: a trajectory is the same bits in any batch, on any
/// rank, and its log-probabilities are those of the training forward pass.
public struct Sampler: Sendable {
  /// One prompt and the trajectories wanted for it.
  public struct Request: Sendable {
    public let prompt: [Int32]
    /// Global trajectory numbers; the first one keys the prompt's latents.
    public let trajectories: [UInt64]

    public init(prompt: [Int32], trajectories: [UInt64]) {
      precondition(!prompt.isEmpty, "a prompt without tokens")
      precondition(!trajectories.isEmpty, "a request for no trajectory")
      self.prompt = prompt
      self.trajectories = trajectories
    }
  }

  public let model: QuillanModel
  public let options: SamplingOptions
  public let endToken: Int32
  public let seed: UInt64
  /// Sequences that are decoded together at most; bounds memory, changes no number.
  public let maximumBatch: Int

  public init(model: QuillanModel, options: SamplingOptions, endToken: Int32, seed: UInt64, maximumBatch: Int = 256) {
    self.model = model
    self.options = options
    self.endToken = endToken
    self.seed = seed
    self.maximumBatch = maximumBatch
  }

  /// The trajectories of every request, in order.
  ///
  /// - Precondition: a prompt and `options.maxNewTokens` fit into the model's `max_seq_len`.
  public func sample(_ requests: [Request], _ weights: PackedModel, _ context: Context) -> [[Trajectory]] {
    var results: [[Trajectory]] = []
    var first = 0
    while first < requests.count {
      var last = first + 1
      var sequences = requests[first].trajectories.count
      while last < requests.count, sequences + requests[last].trajectories.count <= maximumBatch {
        sequences += requests[last].trajectories.count
        last += 1
      }
      results += wave(Array(requests[first..<last]), weights, context)
      first = last
    }
    return results
  }

  /// One sequence while it grows.
  private struct Growing {
    let request: Int
    let id: UInt64
    let promptID: UInt64
    let promptLength: Int
    var tokens: [Int32]
    var latents: [UInt8]
    var logProbabilities: [Float] = []
    let cache: KeyValueCache
    var finished = false

    var generated: Int { tokens.count - promptLength }
  }

  private func wave(_ requests: [Request], _ weights: PackedModel, _ context: Context) -> [[Trajectory]] {
    var growing: [Growing] = []
    context.arena.scoped {
      let hidden = prefill(requests, weights, context, &growing)
      var rows: [Int] = []
      for (index, request) in requests.enumerated() {
        rows += [Int](repeating: index, count: request.trajectories.count)
      }
      extend(&growing, Array(growing.indices), model.gather(hidden, rows: rows, context), weights, context)
    }
    var active = growing.indices.filter { goesOn(growing[$0]) }
    while !active.isEmpty {
      context.arena.scoped {
        let spans = active.enumerated().map { row, index in
          Span(first: row, count: 1, position: growing[index].tokens.count - 1)
        }
        let batch = TokenBatch(tokens: active.map { growing[$0].tokens[growing[$0].tokens.count - 1] }, spans: spans)
        let prefix = model.prefix(batch, weights, context)
        let latents = sampleLatents(prefix, active.map { identity(growing[$0]) }, weights, context)
        for (row, index) in active.enumerated() { append(latents, row, to: &growing[index]) }
        let pass = model.trunk(
          prefix, latents: latents, caches: active.map { growing[$0].cache }, retention: .nothing, weights, context)
        extend(&growing, active, pass.hidden, weights, context)
      }
      active = active.filter { goesOn(growing[$0]) }
    }
    addLastLatents(&growing, weights, context)
    var results = [[Trajectory]](repeating: [], count: requests.count)
    for sequence in growing {
      results[sequence.request].append(
        Trajectory(
          id: sequence.id, promptID: sequence.promptID, promptLength: sequence.promptLength, tokens: sequence.tokens,
          mask: sequence.tokens.indices.map { $0 >= sequence.promptLength }, latents: sequence.latents,
          logProbabilities: sequence.logProbabilities, finished: sequence.finished))
    }
    return results
  }

  private func goesOn(_ sequence: Growing) -> Bool {
    !sequence.finished && sequence.generated < options.maxNewTokens
  }

  /// The identity of the latents at a sequence's last position.
  private func identity(_ sequence: Growing) -> ReasoningDiffusion.Identity {
    ReasoningDiffusion.Identity(sequence: sequence.id, position: UInt32(sequence.tokens.count - 1))
  }

  /// Runs every prompt once, fills the caches, and returns h at each prompt's last position.
  private func prefill(
    _ requests: [Request], _ weights: PackedModel, _ context: Context, _ growing: inout [Growing]
  ) -> Matrix {
    let hidden = context.arena.matrix(requests.count, model.configuration.dim)
    for (index, request) in requests.enumerated() {
      let length = request.prompt.count
      precondition(
        length + options.maxNewTokens <= model.configuration.maxSeqLen,
        "a prompt of \(length) tokens and \(options.maxNewTokens) new ones exceed \(model.configuration.maxSeqLen)")
      let cache = model.makeCache(positions: length)
      var latents: [UInt8] = []
      context.arena.scoped {
        let batch = TokenBatch(sequences: [request.prompt])
        let prefix = model.prefix(batch, weights, context)
        let identities = (0..<length).map {
          ReasoningDiffusion.Identity(sequence: request.trajectories[0], position: UInt32($0))
        }
        let bits = sampleLatents(prefix, identities, weights, context)
        if let bits { latents = Array(UnsafeBufferPointer(start: bits, count: length * model.latentBytes)) }
        let pass = model.trunk(
          prefix, latents: bits, caches: [cache], retention: .nothing, weights, context)
        hidden.row(index).update(from: pass.hidden.row(length - 1), count: hidden.columns)
      }
      for id in request.trajectories {
        let own = model.makeCache(positions: length + options.maxNewTokens)
        own.copyPrefix(length, from: cache)
        growing.append(
          Growing(
            request: index, id: id, promptID: request.trajectories[0], promptLength: length, tokens: request.prompt,
            latents: latents, cache: own))
      }
    }
    return hidden
  }

  private func sampleLatents(
    _ prefix: PrefixPass, _ identities: [ReasoningDiffusion.Identity], _ weights: PackedModel, _ context: Context
  ) -> UnsafeMutablePointer<UInt8>? {
    guard let diffusion = model.diffusion else { return nil }
    let bits = context.arena.allocate(UInt8.self, identities.count * model.latentBytes)
    diffusion.sample(prefix.xContext, identities: identities, seed: seed, weights, into: bits, context)
    return bits
  }

  private func append(_ latents: UnsafeMutablePointer<UInt8>?, _ row: Int, to sequence: inout Growing) {
    guard let latents else { return }
    let bytes = model.latentBytes
    sequence.latents += UnsafeBufferPointer(start: latents + row * bytes, count: bytes)
  }

  /// Draws the next token of sequences `indices` from rows of h.
  private func extend(
    _ growing: inout [Growing], _ indices: [Int], _ hidden: Matrix, _ weights: PackedModel, _ context: Context
  ) {
    let vocabulary = model.configuration.vocabSize
    let generator = Philox(seed: seed)
    let chooser = TokenChooser(options: options)
    let logits = context.arena.matrix(indices.count, vocabulary)
    let none = [Int32](repeating: -1, count: indices.count)
    let distribution = model.head.forward(
      model.head.input(hidden, weights, context.main), targets: none, temperature: options.temperature, weights,
      keep: logits, context.main)
    let probabilities = UnsafeMutableBufferPointer(
      start: context.arena.allocate(Float.self, vocabulary), count: vocabulary)
    for (row, index) in indices.enumerated() {
      let values = logits.row(row)
      let logSumExp = distribution.logSumExp[row]
      if !options.greedy {
        for entry in 0..<vocabulary { probabilities[entry] = values[entry] - logSumExp }
        if let base = probabilities.baseAddress {
          Kernels.table.pointee.exponential(Int64(vocabulary), base, base)
        }
      }
      let word = generator.word(
        stream: .tokenSampling, sequence: growing[index].id, position: UInt32(growing[index].tokens.count))
      let token = chooser.choose(values, probabilities, uniform: Philox.uniform(word))
      growing[index].tokens.append(Int32(token))
      growing[index].logProbabilities.append(values[token] - logSumExp)
      growing[index].finished = Int32(token) == endToken
    }
  }

  /// Latents of the last tokens, which were never fed to the layers.
  private func addLastLatents(_ growing: inout [Growing], _ weights: PackedModel, _ context: Context) {
    guard model.diffusion != nil else { return }
    context.arena.scoped {
      let tokens = growing.map { $0.tokens[$0.tokens.count - 1] }
      let spans = growing.enumerated().map { Span(first: $0, count: 1, position: $1.tokens.count - 1) }
      let prefix = model.prefix(TokenBatch(tokens: tokens, spans: spans), weights, context)
      let latents = sampleLatents(prefix, growing.map(identity), weights, context)
      for index in growing.indices { append(latents, index, to: &growing[index]) }
    }
  }
}
