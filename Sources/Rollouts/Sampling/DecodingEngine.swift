import Layers
import Models
import Parameters
import Tensors

/// Decodes any number of requests together: sequences join the batch as others end, and prompts are prefilled in the same
/// passes.
///
/// Requests are served in the order of their submission. Results do not depend on what else is decoded. One thread at a
/// time may use an engine.
public final class DecodingEngine {
  /// A trajectory that has ended.
  public struct Ended {
    /// The number that `submit` gave to the request, and the index of the trajectory in the request.
    public let request: Int
    public let sample: Int
    public let trajectory: Trajectory
    /// Maximum number of tokens that can be appended to the sequence; 0 if its limit is reached.
    public let room: Int
  }

  private let sampler: Sampler
  private let weights: PackedModel
  private let context: Context
  private let memory: KeyValueBlocks
  /// Requests with trajectories that have not begun, in the order of submission.
  private var waiting: [WaitingRequest] = []
  /// The sequences of the batch, in the order of requests and trajectories.
  private var living: [LivingSequence] = []
  private var submitted = 0

  public init(_ sampler: Sampler, _ weights: PackedModel, _ context: Context) {
    self.sampler = sampler
    self.weights = weights
    self.context = context
    memory = sampler.model.makeKeyValueBlocks()
  }

  /// Whether all submitted requests have ended.
  public var isIdle: Bool { waiting.isEmpty && living.isEmpty }

  /// Bytes of key-value caches obtained from the system.
  public var reservedBytes: Int { memory.reservedBytes }

  /// Adds a request, at any time. Returns its number: 0, 1, 2, …
  ///
  /// - Precondition: the prompt and the tokens that the request allows fit into the model's `max_seq_len`.
  @discardableResult
  public func submit(_ request: Sampler.Request) -> Int {
    let limit = request.limit ?? sampler.options.maxNewTokens
    let maximum = sampler.model.configuration.maxSeqLen
    precondition(
      request.prompt.count + limit <= maximum,
      "a prompt of \(request.prompt.count) tokens and \(limit) new ones exceed \(maximum)")
    waiting.append(WaitingRequest(number: submitted, request: request, limit: limit, cache: memory.makeCache()))
    defer { submitted += 1 }
    return submitted
  }

  /// Drops a request. Its trajectories that have not ended are not delivered.
  public func cancel(_ request: Int) {
    waiting.removeAll { $0.number == request }
    living.removeAll { $0.request == request }
  }

  /// Runs one pass: the next token of every sequence of the batch, and prompts for free places.
  ///
  /// - Parameters:
  ///   - observer: called with every token when it is drawn, in the order of requests and trajectories. Returning false
  ///     ends the trajectory.
  ///   - ended: called with every trajectory that has ended. Tokens that it returns, for example an environment's answer,
  ///     continue the sequence: the policy reads them and generates again.
  /// - Throws: `SamplingError` if logits are not finite.
  public func step(observer: (Sampler.Draw) -> Bool, ended: (Ended) -> [Int32]) throws {
    try context.arena.scoped {
      var pass = DecodingPass(sampler.model, seed: sampler.seed)
      let starting = fill(&pass)
      let (drawing, hidden) = run(pass, starting)
      try draw(drawing, hidden, observer)
    }
    deliver(ended)
  }

  /// Puts the unread tokens of living sequences and waiting prompts into a pass. Returns how many trajectories of each
  /// waiting request, from the first on, begin with this pass.
  private func fill(_ pass: inout DecodingPass) -> [Int] {
    var budget = Sampler.promptTokens
    for index in living.indices {
      // At least one token, so that no sequence waits for another.
      let tokens = living[index].unread.prefix(max(1, budget))
      budget = max(0, budget - (tokens.count - 1))
      pass.add(tokens, of: .living(index), sequence: living[index].id, cache: living[index].cache)
    }
    var free = sampler.maximumBatch - living.count
    var starting: [Int] = []
    for (index, request) in waiting.enumerated() where free > 0 {
      let tokens = request.unread.prefix(budget)
      budget -= tokens.count
      if !tokens.isEmpty { pass.add(tokens, of: .waiting(index), sequence: request.promptID, cache: request.cache) }
      guard tokens.count == request.unread.count else { break }
      starting.append(min(free, request.remaining))
      free -= starting[index]
    }
    return starting
  }

  /// Runs a pass and begins trajectories. Returns the sequences whose next token can be drawn, each with the row of h
  /// that predicts it.
  private func run(_ pass: DecodingPass, _ starting: [Int]) -> (drawing: [(sequence: Int, row: Int)], hidden: Matrix) {
    let results = pass.run(weights, context)
    let rows = context.arena.matrix(living.count + starting.count, sampler.model.configuration.dim)
    var used = 0
    var drawing: [(sequence: Int, row: Int)] = []
    for result in results {
      switch result.owner {
      case .living(let index):
        living[index].read(result.count, latents: result.latents)
        guard living[index].unread.isEmpty else { continue }
        rows[used].copy(from: result.hidden)
        drawing.append((index, used))
        used += 1
      case .waiting(let index): waiting[index].read(result.count, latents: result.latents, hidden: result.hidden)
      }
    }
    for (index, count) in starting.enumerated() {
      rows[used].copy(from: context.arena.view(of: waiting[index].hidden))
      for _ in 0..<count {
        drawing.append((living.count, used))
        living.append(waiting[index].begin())
      }
      used += 1
    }
    waiting.removeAll { $0.remaining == 0 }
    return (drawing, rows.rows(0..<used))
  }

  /// Draws the next token of each sequence.
  private func draw(
    _ drawing: [(sequence: Int, row: Int)], _ hidden: Matrix, _ observer: (Sampler.Draw) -> Bool
  ) throws(SamplingError) {
    guard !drawing.isEmpty else { return }
    let (arena, head) = (context.arena, sampler.model.head)
    let lane = ForwardLane(weights, context.main)
    let logits = arena.matrix(hidden.rows, head.vocabulary)
    let distribution = head.forward(
      head.input(hidden, lane), targets: arena.view(repeating: -1, count: hidden.rows),
      temperature: sampler.options.temperature, keep: logits, lane)
    let chosen = choose(drawing, logits, distribution)
    for (entry, token) in zip(drawing, chosen) {
      let index = entry.sequence
      guard token >= 0 else {
        throw SamplingError(trajectory: living[index].id, position: living[index].tokens.count)
      }
      let logProbability = logits[entry.row][token] - distribution.logSumExp[entry.row]
      living[index].append(Int32(token), logProbability, isEnd: sampler.endTokens.contains(Int32(token)))
      let draw = Sampler.Draw(
        request: living[index].request, sample: living[index].sample, token: Int32(token),
        logProbability: logProbability, logits: logits[entry.row], logSumExp: distribution.logSumExp[entry.row])
      living[index].isCut = !observer(draw)
    }
  }

  /// The next token of each sequence; −1 if its logits are not finite.
  private func choose(
    _ drawing: [(sequence: Int, row: Int)], _ logits: Matrix, _ distribution: LanguageModelHead.Distribution
  ) -> ArrayView<Int> {
    let chosen = context.arena.view(repeating: -1, count: drawing.count)
    let (generator, chooser) = (Philox(seed: sampler.seed), TokenChooser(options: sampler.options))
    let (sequences, scratch) = (living, context.scratch)
    context.pool.spread(drawing.count, cost: .scalar(chooser.entries(of: logits.columns))) { worker, index in
      let (sequence, row) = (sequences[drawing[index].sequence], drawing[index].row)
      let word = generator.word(
        stream: .tokenSampling, sequence: sequence.id, position: UInt32(sequence.tokens.count))
      let token = chooser.choose(
        VocabularyRow(logits: logits[row], chunks: distribution.chunks(row), logSumExp: distribution.logSumExp[row]),
        after: sequence.tokens, uniform: Philox.uniform(word), scratch[worker])
      chosen[index] = token ?? -1
    }
    return chosen
  }

  /// Hands over the trajectories that have ended, and removes those that do not continue.
  private func deliver(_ ended: (Ended) -> [Int32]) {
    let maximum = sampler.model.configuration.maxSeqLen
    let indices = living.indices.filter { living[$0].hasEnded(maximumLength: maximum) }
    guard !indices.isEmpty else { return }
    // The layers never read the last tokens, but training needs their latents.
    context.arena.scoped {
      var pass = DecodingPass(sampler.model, seed: sampler.seed)
      for index in indices {
        pass.add(living[index].unread, of: .living(index), sequence: living[index].id, cache: living[index].cache)
      }
      for (index, latents) in zip(indices, pass.latents(weights, context)) { living[index].lastLatents = latents }
    }
    var continued: Set<Int> = []
    for index in indices {
      let sequence = living[index]
      let result = Ended(
        request: sequence.request, sample: sequence.sample, trajectory: sequence.trajectory,
        room: sequence.canContinue ? max(0, maximum - sequence.tokens.count - 1) : 0)
      let tokens = ended(result)
      precondition(tokens.count <= result.room, "\(tokens.count) tokens for a sequence with room for \(result.room)")
      if tokens.isEmpty { continue }
      living[index].observe(tokens)
      continued.insert(index)
    }
    let removed = Set(indices).subtracting(continued)
    living = living.enumerated().filter { !removed.contains($0.offset) }.map(\.element)
  }
}
