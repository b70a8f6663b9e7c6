import Foundation
import Layers
import LowBit
import Models
import Parameters
import Rollouts
import Tensors
import Testing
import TestSupport

@Suite("Sampler")
struct SamplerTests {
  /// A model with a vocabulary of 20 tokens, of which 3 is the end token, and initial weights with an enlarged embedding,
  /// so that its distributions are uneven.
  struct Policy {
    let model: QuillanModel
    let weights: PackedModel
    let context: Context
    static let endToken: Int32 = 3

    init(threads: Int = 1, format: NumberFormat? = nil, diffusion: Bool = true) throws {
      var sizes = ModelConfiguration(dim: 16)
      sizes.vocabSize = 20
      sizes.numLayers = 2
      sizes.numHeads = 2
      sizes.numMiniMoes = 3
      sizes.numExpertsPerMini = 3
      sizes.expertDim = 32
      sizes.maxSeqLen = 24
      sizes.numMicrosPerMini = 4
      sizes.microTopK = 2
      sizes.microAgentDim = 8
      sizes.overseerDim = 32
      sizes.diffusionDim = 16
      sizes.diffusionBlocks = 1
      sizes.diffusionSteps = 4
      sizes.diffusionInferenceSteps = 2
      sizes.latentHorizon = 3
      sizes.int4Group = 16
      sizes.useBitDiffusion = diffusion
      model = try QuillanModel(sizes, format.map { PrecisionConfiguration(all: $0) } ?? PrecisionConfiguration())
      context = Context(threads: threads)
      let masters = model.initialParameters(seed: 5, pool: context.pool)
      for id in model.table.ids where model.table[id].name.hasSuffix("embedding.weight") {
        for index in 0..<model.table[id].count { masters.pointer(id)[index] *= 10 }
      }
      weights = model.makePackedModel()
      model.pack(masters, into: weights, context)
    }

    func sample(_ options: SamplingOptions, maximumBatch: Int = 256, seed: UInt64 = 1) throws -> [[Trajectory]] {
      try Sampler(
        model: model, options: options, endToken: Self.endToken, seed: seed, maximumBatch: maximumBatch
      ).sample(SamplerTests.requests, weights, context)
    }

    /// Logits over temperature and log-probabilities of every next token [T − 1][V], by the training forward pass.
    func distributions(_ trajectory: Trajectory, temperature: Float) -> (logits: [[Float]], logp: [[Float]]) {
      context.arena.scoped {
        let length = trajectory.tokens.count
        let prefix = model.prefix(TokenBatch(sequences: [trajectory.tokens], in: context.arena), weights, context)
        let pass = model.trunk(
          prefix, latents: model.diffusion == nil ? nil : context.arena.view(of: trajectory.latents),
          retention: .nothing, weights, context)
        let logits = context.arena.matrix(length, model.configuration.vocabSize)
        let lane = ForwardLane(weights, context.main)
        let distribution = model.head.forward(
          model.head.input(pass.hidden, lane), targets: context.arena.view(repeating: -1, count: length),
          temperature: temperature, keep: logits, lane)
        let rows = (0..<length - 1).map { row in (0..<logits.columns).map { logits.row(row)[$0] } }
        return (rows, rows.indices.map { row in rows[row].map { $0 - distribution.logSumExp[row] } })
      }
    }
  }

  static let requests = [
    Sampler.Request(prompt: [1, 2, 4], trajectories: [0, 1, 2, 3]),
    Sampler.Request(prompt: [7], trajectories: [4, 5]),
    Sampler.Request(prompt: [9, 8, 7, 6, 5, 4], trajectories: [6, 7, 8]),
    Sampler.Request(prompt: [11, 19], trajectories: [9, 10, 11, 12, 13]),
  ]

  private static func options(_ change: (inout SamplingOptions) -> Void = { _ in }) -> SamplingOptions {
    var options = SamplingOptions()
    options.temperature = 0.7
    options.maxNewTokens = 12
    change(&options)
    return options
  }

  /// Tokens by falling probability, lower index first.
  private static func order(_ logp: [Float]) -> [Int] {
    logp.indices.sorted { logp[$0] != logp[$1] ? logp[$0] > logp[$1] : $0 < $1 }
  }

  /// The uniform number that chooses the token at `position`.
  private static func uniform(_ trajectory: Trajectory, _ position: Int, seed: UInt64 = 1) -> Double {
    let word = Philox(seed: seed).word(
      stream: .tokenSampling, sequence: trajectory.id, position: UInt32(position))
    return Double(Philox.uniform(word))
  }

  @Test("Trajectories have the same bits in batches of any size and with any number of threads")
  func batches() throws {
    let expected = try Policy().sample(Self.options())
    for threads in [1, 2, 3] {
      for maximumBatch in [1, 4, 5, 256] {
        #expect(try Policy(threads: threads).sample(Self.options(), maximumBatch: maximumBatch) == expected)
      }
    }
    #expect(try Policy().sample(Self.options(), seed: 2) != expected)
    #expect(expected.map { $0.map(\.id) } == Self.requests.map(\.trajectories))
    for (request, group) in zip(Self.requests, expected) {
      for trajectory in group { #expect(Array(trajectory.tokens.prefix(request.prompt.count)) == request.prompt) }
    }
  }

  @Test("Log-probabilities equal those of the training forward pass, in every format", arguments: NumberFormat.allCases)
  func logProbabilities(format: NumberFormat) throws {
    for diffusion in [true, false] {
      let policy = try Policy(threads: 2, format: format, diffusion: diffusion)
      for trajectory in try policy.sample(Self.options()).joined() {
        let logp = policy.distributions(trajectory, temperature: 0.7).logp
        let expected = trajectory.generatedPositions.map { logp[$0 - 1][Int(trajectory.tokens[$0])] }
        #expect(trajectory.logProbabilities.map(\.bitPattern) == expected.map(\.bitPattern))
        #expect(trajectory.latents.isEmpty == !diffusion)
      }
    }
  }

  @Test("The token is the first whose cumulative probability exceeds the uniform number of its id and position")
  func definition() throws {
    let policy = try Policy()
    var ends = 0
    for trajectory in try policy.sample(Self.options()).joined() {
      let logp = policy.distributions(trajectory, temperature: 0.7).logp
      for position in trajectory.generatedPositions {
        let u = Self.uniform(trajectory, position)
        var sum = 0.0
        let token = logp[position - 1].firstIndex { value in
          sum += exp(Double(value))
          return sum > u
        }
        #expect(Int(trajectory.tokens[position]) == token)
      }
      let generated = trajectory.generatedTokens
      #expect(generated.dropLast().allSatisfy { $0 != Policy.endToken })
      #expect(trajectory.finished == (generated.last == Policy.endToken))
      #expect(trajectory.finished ? generated.count <= 12 : generated.count == 12)
      #expect(trajectory.mask == trajectory.tokens.indices.map { $0 >= trajectory.promptLength })
      if trajectory.finished { ends += 1 }
    }
    #expect(ends > 0 && ends < 14)
  }

  @Test("Greedy takes the largest logit and its log-probability")
  func greedy() throws {
    let policy = try Policy()
    for trajectory in try policy.sample(Self.options { $0.greedy = true }).joined() {
      let (logits, logp) = policy.distributions(trajectory, temperature: 0.7)
      for (number, position) in trajectory.generatedPositions.enumerated() {
        let best = Self.order(logits[position - 1])[0]
        #expect(Int(trajectory.tokens[position]) == best)
        #expect(trajectory.logProbabilities[number] == logp[position - 1][best])
      }
    }
  }

  @Test(
    "Top-k and top-p draw from the kept tokens by their renormalised probabilities",
    arguments: [
      (1, 1.0), (3, 1.0), (20, 1.0), (0, 0.5), (0, 0.9), (0, 1e-6), (4, 0.6), (2, 0.999),
    ])
  func filters(topK: Int, topP: Double) throws {
    let policy = try Policy()
    let groups = try policy.sample(
      Self.options {
        $0.topK = topK
        $0.topP = topP
      })
    for trajectory in groups.joined() {
      let logp = policy.distributions(trajectory, temperature: 0.7).logp
      for (number, position) in trajectory.generatedPositions.enumerated() {
        let row = logp[position - 1]
        var kept: [Int] = []
        var mass = 0.0
        let head = Self.order(row).prefix(topK == 0 ? 20 : topK)
        let whole = topK == 0 ? 1 : head.reduce(0) { $0 + exp(Double(row[$1])) }
        for index in head where mass < topP * whole || kept.isEmpty {
          kept.append(index)
          mass += exp(Double(row[index]))
        }
        let u = Self.uniform(trajectory, position) * (topK == 20 && topP == 1 ? 1 : mass)
        var sum = 0.0
        let token = kept.sorted().first { index in
          sum += exp(Double(row[index]))
          return sum > u
        }
        #expect(Int(trajectory.tokens[position]) == token, "\(kept)")
        // Training uses the unfiltered policy.
        #expect(trajectory.logProbabilities[number] == row[Int(trajectory.tokens[position])])
      }
    }
  }

  @Test("A group shares the latents of its prompt; another group with the same prompt does not")
  func latents() throws {
    let policy = try Policy()
    let bytes = policy.model.latentBytes
    for group in try policy.sample(Self.options()) {
      let shared = group[0].latents.prefix(group[0].promptLength * bytes)
      for trajectory in group {
        #expect(trajectory.latents.prefix(shared.count) == shared)
        #expect(trajectory.latents.count == trajectory.tokens.count * bytes)
        #expect(trajectory.promptID == group[0].id)
      }
    }
    let prompt = Self.requests[2].prompt
    let twice = try Sampler(model: policy.model, options: Self.options(), endToken: Policy.endToken, seed: 1).sample(
      [Sampler.Request(prompt: prompt, trajectories: [0]), Sampler.Request(prompt: prompt, trajectories: [1])],
      policy.weights, policy.context)
    #expect(twice[0][0].latents.prefix(6 * bytes) != twice[1][0].latents.prefix(6 * bytes))
  }
}
