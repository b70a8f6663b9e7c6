import Layers
import Models
import Rollouts
import Tensors
import TestSupport
import Testing

@Suite("Decoding engine")
struct DecodingEngineTests {
  typealias Policy = SamplerTests.Policy

  /// Twelve requests with prompts, groups and limits of many lengths.
  private static let ragged = (0..<12).map { number in
    Sampler.Request(
      prompt: (0..<1 + number * 5 % 11).map { Int32(4 + (number + $0) % 16) },
      trajectories: (0..<UInt64(1 + number % 4)).map { UInt64(10 * number) + $0 }, limit: 1 + number * 7 % 13)
  }

  private static func sampler(_ policy: Policy, maximumBatch: Int, endToken: Int32 = Policy.endToken) -> Sampler {
    var options = SamplingOptions()
    options.temperature = 0.7
    return Sampler(
      model: policy.model, options: options, endToken: endToken, seed: 1, maximumBatch: maximumBatch)
  }

  @Test("Requests of ragged limits give the same bits in batches of 1, 3 and 16, on any number of threads")
  func batches() throws {
    let policy = try Policy()
    // Each request for itself.
    let expected = try Self.ragged.map {
      try Self.sampler(policy, maximumBatch: 1).sample([$0], policy.weights, policy.context)[0]
    }
    #expect(Set(expected.joined().map(\.logProbabilities.count)).count > 5)
    for threads in [1, 3] {
      let policy = try Policy(threads: threads)
      for maximumBatch in [1, 3, 16] {
        let sampler = Self.sampler(policy, maximumBatch: maximumBatch)
        #expect(try sampler.sample(Self.ragged, policy.weights, policy.context) == expected)
      }
    }
  }

  @Test("A sequence takes the place of another as soon as that ends")
  func refill() throws {
    let policy = try Policy()
    let limits = [12, 1, 2, 1, 3, 1, 1, 3]
    let requests = limits.enumerated().map {
      Sampler.Request(prompt: [5, 6], trajectories: [UInt64($0.offset)], limit: $0.element)
    }
    let engine = DecodingEngine(
      Self.sampler(policy, maximumBatch: 2, endToken: -1), policy.weights, policy.context)
    for request in requests { engine.submit(request) }
    var (passes, ends, tokens) = (0, [Int](), 0)
    while !engine.isIdle {
      var drawn: [[Int]] = []
      try engine.step {
        drawn.append([$0.request, $0.sample])
        return true
      } ended: {
        ends.append($0.request)
        return []
      }
      // In every pass, tokens are observed in the order of requests and trajectories.
      #expect(drawn.count <= 2 && drawn.map { $0[0] } == drawn.map { $0[0] }.sorted())
      tokens += drawn.count
      passes += 1
    }
    // The first request has one place for twelve passes, and the others share the other place.
    #expect(passes == 12 && tokens == limits.reduce(0, +))
    #expect(ends == [1, 2, 3, 4, 5, 6, 0, 7])
  }

  @Test("A group is complete when its last trajectory ends, while others are still sampled")
  func completion() throws {
    let policy = try Policy()
    let requests = [
      Sampler.Request(prompt: [5, 6, 7], trajectories: [0, 1, 2], limit: 9),
      Sampler.Request(prompt: [8], trajectories: [3, 4], limit: 2),
    ]
    var (order, drawn, seen) = ([Int](), 0, [Int]())
    let sampler = Self.sampler(policy, maximumBatch: 16, endToken: -1)
    let results = try sampler.sample(requests, policy.weights, policy.context) { _ in
      drawn += 1
      return true
    } completed: { index, trajectories in
      order.append(index)
      seen.append(drawn)
      #expect(trajectories.map(\.id) == requests[index].trajectories)
    }
    #expect(order == [1, 0] && seen == [10, 31])
    #expect(results.map(\.count) == [3, 2])
  }

  @Test("A cancelled request delivers nothing, and the others keep their bits")
  func cancellation() throws {
    let policy = try Policy()
    let sampler = Self.sampler(policy, maximumBatch: 4)
    let expected = try sampler.sample(Self.ragged, policy.weights, policy.context)
    let engine = DecodingEngine(sampler, policy.weights, policy.context)
    for request in Self.ragged { engine.submit(request) }
    var results: [Int: [Int: Trajectory]] = [:]
    var passes = 0
    while !engine.isIdle {
      try engine.step { _ in
        true
      } ended: {
        results[$0.request, default: [:]][$0.sample] = $0.trajectory
        return []
      }
      passes += 1
      if passes == 3 {
        // One that runs by then, and one that waits.
        engine.cancel(1)
        engine.cancel(11)
      }
    }
    #expect(results[11] == nil && results[1]?.count != Self.ragged[1].trajectories.count)
    for number in 0..<11 where number != 1 {
      #expect((0..<expected[number].count).map { results[number]?[$0] } == expected[number])
    }
  }

  @Test("Appended tokens continue a sequence exactly, whatever else is decoded")
  func continuation() throws {
    let policy = try Policy()
    // A trajectory whose first turn is short.
    let candidates = (100..<160).map { Sampler.Request(prompt: [5, 6, 7], trajectories: [$0], limit: 4) }
    let first = try Self.sampler(policy, maximumBatch: 64).sample(candidates, policy.weights, policy.context)
    let id = try #require(first.joined().first { $0.finished }).id

    /// A conversation with two answers, each given when the policy ends its turn.
    func converse(besides others: [Sampler.Request]) throws -> Trajectory? {
      let engine = DecodingEngine(
        Self.sampler(policy, maximumBatch: 3), policy.weights, policy.context)
      engine.submit(Sampler.Request(prompt: [5, 6, 7], trajectories: [id], limit: 12))
      for request in others { engine.submit(request) }
      var answers: [[Int32]] = [[9, 10, 11], [12]]
      var result: Trajectory?
      while !engine.isIdle {
        try engine.step { _ in
          true
        } ended: { ended in
          guard ended.request == 0 else { return [] }
          result = ended.trajectory
          guard ended.room > 3, !answers.isEmpty else { return [] }
          return answers.removeFirst()
        }
      }
      return result
    }
    let trajectory = try #require(try converse(besides: []))
    #expect(try converse(besides: Array(Self.ragged[2..<9])) == trajectory)
    let observed = trajectory.tokens.indices.filter { $0 >= 3 && !trajectory.mask[$0] }
    #expect(observed.count >= 3 && observed.prefix(3).map { trajectory.tokens[$0] } == [9, 10, 11])
    let logp = policy.distributions(trajectory, temperature: 0.7).logp
    let expected = trajectory.generatedPositions.map { logp[$0 - 1][Int(trajectory.tokens[$0])] }
    #expect(sameBits(trajectory.logProbabilities, expected))
  }

  @Test("Prompts longer than a pass are read in several, beside sequences that are decoded", arguments: [1, 8])
  func longPrompts(maximumBatch: Int) throws {
    let tiny = try TinyModel(.int8, seed: 5) { $0.maxSeqLen = 1200 }
    var numbers = RandomNumbers(seed: 6)
    let prompts = [3, Sampler.promptTokens + 30, 2 * Sampler.promptTokens + 1, 20].map {
      numbers.tokens($0, vocabulary: 1030)
    }
    let sampler = Sampler(
      model: tiny.model, options: SamplingOptions(), endToken: -1, seed: 3, maximumBatch: maximumBatch)
    let requests = prompts.enumerated().map {
      Sampler.Request(prompt: $0.element, trajectories: [UInt64(2 * $0.offset), UInt64(2 * $0.offset + 1)], limit: 5)
    }
    let groups = try sampler.sample(requests, tiny.weights, tiny.context)
    for trajectory in groups.joined() {
      let context = tiny.context
      let (tokens, first) = (trajectory.tokens, trajectory.promptLength)
      let expected = context.arena.scoped {
        let prefix = tiny.model.prefix(TokenBatch(sequences: [tokens], in: context.arena), tiny.weights, context)
        let pass = tiny.model.trunk(
          prefix, latents: context.arena.view(of: trajectory.latents), retention: .nothing, tiny.weights, context)
        let rows = context.arena.view(of: Array(first - 1..<tokens.count - 1))
        return Array(
          tiny.model.head.forward(
            tiny.model.head.input(tiny.model.gather(pass.hidden, rows: rows, context), tiny.forward),
            targets: context.arena.view(of: Array(tokens[first...])), temperature: 1, tiny.forward
          ).logProbability)
      }
      #expect(sameBits(trajectory.logProbabilities, expected))
    }
  }
}
