import Layers
import LowBit
import Models
import Objectives
import Parameters
import Rollouts
import Tensors
import TestSupport
import Testing
import Training

@Suite struct PolicyLossTests {
  private static let lengths: [[(prompt: Int, generated: Int)]] = [
    [(3, 4), (3, 1), (3, 6)], [(2, 5), (2, 2)],
  ]

  private func smallVocabulary(_ sizes: inout ModelConfiguration) { sizes.vocabSize = 45 }

  /// The tensors whose gradient disagrees with difference quotients of the complete loss, at a few coordinates of each
  /// tensor.
  private func disagreements(diffusion: Bool, seed: UInt64) throws -> [String] {
    let tiny = try TinyModel(seed: seed) { sizes in
      smallVocabulary(&sizes)
      sizes.useBitDiffusion = diffusion
    }
    var batch = PolicyBatch(tiny, lengths: [[(2, 3), (2, 1)], [(1, 4), (1, 2)]], seed: seed + 1)
    // Ratios inside both bounds and beyond each of them, for advantages of either sign.
    try batch.setRatios([1.7, 0.5, 1.05, 0.9])
    let items = try batch.items()
    let input = batch.diffusionInput(items)
    let reference = batch.accumulate(items, diffusion: input, into: tiny.gradients)
    #expect(reference.statistics.clippedLow > 0 && reference.statistics.clippedHigh > 0)
    let unused = ParameterStore(tiny.model.table)
    func loss(values: Bool) -> Double? {
      let outcome = batch.accumulate(items, diffusion: input, into: unused)
      guard outcome.loads == reference.loads else { return nil }
      // The value loss does not pass its gradient to h: only the value head gets one.
      let terms = outcome.terms
      return terms.total(batch.configuration) - (values ? 0 : batch.configuration.valueCoef * terms.value)
    }
    let check = FiniteDifference(step: 0.003, coordinates: 5, tolerance: 1e-2, floor: 2e-4)
    return tiny.disagreements(
      seed: seed + 2, inputs: [], check: check, wanted: { !$0.hasPrefix("value_head") }
    ) { loss(values: false) }
      + tiny.disagreements(
        seed: seed + 3, inputs: [], check: check, wanted: { $0.hasPrefix("value_head") }
      ) { loss(values: true) }
  }

  @Test(
    "Its gradient agrees with difference quotients in every tensor: all terms, clipping, temperature, two groups",
    arguments: [true, false])
  func gradients(diffusion: Bool) throws {
    let found = try disagreements(diffusion: diffusion, seed: diffusion ? 351 : 161)
    #expect(found.isEmpty, "\(found.count): \(found.prefix(8))")
  }

  @Test("A micro-batch split changes no bit of any trajectory's terms", arguments: NumberFormat.allCases)
  func microBatches(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 171)
    var batch = PolicyBatch(tiny, lengths: Self.lengths, seed: 172)
    let items = try batch.items()
    let undivided = batch.accumulate(items, into: tiny.gradients)
    for size in 1...4 {
      batch.retention = size % 2 == 0 ? .layerInputs : .everything
      let gradients = ParameterStore(tiny.model.table)
      let split = batch.accumulate(items, size: size, into: gradients)
      #expect(split.results.map(\.terms) == undivided.results.map(\.terms))
      #expect(split.terms == undivided.terms && split.loads == undivided.loads)
      #expect(zip(split.results, undivided.results).allSatisfy { sameBits($0.logProbabilities, $1.logProbabilities) })
      #expect(distance(gradients, tiny.gradients) < 1e-5)
    }
  }

  @Test("A step of two groups is the mean of the two steps of one")
  func groups() throws {
    let tiny = try TinyModel(seed: 173)
    let batch = PolicyBatch(tiny, lengths: Self.lengths, seed: 174)
    let together = batch.accumulate(try batch.items(), into: tiny.gradients)
    let apart = ParameterStore(tiny.model.table)
    let first = batch.accumulate(try batch.items([0]), into: apart)
    let second = batch.accumulate(try batch.items([1]), into: apart)
    for (mine, mean) in [
      (together.terms.policy, first.terms.policy + second.terms.policy),
      (together.terms.entropy, first.terms.entropy + second.terms.entropy),
      (together.terms.aux, first.terms.aux + second.terms.aux),
      (together.terms.diffusion, first.terms.diffusion + second.terms.diffusion),
      (together.terms.value, first.terms.value + second.terms.value),
      (together.terms.kl, first.terms.kl + second.terms.kl),
    ] {
      #expect(abs(mine - mean / 2) < 1e-12 && mine != 0)
    }
    for index in 0..<apart.buffer.count { apart.buffer.pointer[index] /= 2 }
    #expect(distance(tiny.gradients, apart) < 1e-5)
  }

  @Test("Without generated tokens, only balance and diffusion loss have terms and gradients")
  func emptyMask() throws {
    for diffusion in [true, false] {
      let tiny = try TinyModel(seed: 175) { $0.useBitDiffusion = diffusion }
      let batch = PolicyBatch(tiny, lengths: [[(4, 0), (1, 0)]], seed: 176)
      let outcome = batch.accumulate(try batch.items(), into: tiny.gradients)
      #expect(outcome.terms.policy == 0 && outcome.terms.entropy == 0 && outcome.terms.value == 0)
      #expect(outcome.terms.kl == 0 && outcome.terms.aux > 0 && (outcome.terms.diffusion > 0) == diffusion)
      #expect(outcome.results.allSatisfy { $0.logProbabilities.isEmpty } && outcome.statistics.tokens == 0)
      let value = tiny.gradients.values(tiny.model.valueWeight)
      #expect(value.allSatisfy { $0 == 0 })
      var plain = batch
      plain.configuration.entropyCoef = 0
      plain.configuration.valueCoef = 0
      plain.configuration.klCoef = 0
      let gradients = ParameterStore(tiny.model.table)
      _ = plain.accumulate(try plain.items(), into: gradients)
      #expect(gradients.buffer.array == tiny.gradients.buffer.array)
      #expect(gradients.buffer.array.contains { $0 != 0 })
    }
    // One trajectory without tokens in a group that has tokens.
    let tiny = try TinyModel(seed: 177)
    let batch = PolicyBatch(tiny, lengths: [[(4, 0), (4, 3)]], seed: 178)
    let items = try batch.items()
    let outcome = batch.accumulate(items, into: tiny.gradients)
    #expect(outcome.results[0].terms.policy == 0 && outcome.results[1].terms.policy != 0)
    let apart = ParameterStore(tiny.model.table)
    for item in items { _ = batch.accumulate([item], into: apart) }
    #expect(distance(tiny.gradients, apart) < 1e-5)
    #expect(tiny.gradients.values(tiny.model.valueWeight).contains { $0 != 0 })
  }

  @Test("The lower bound stops the gradient of a token that fell too far with a negative advantage")
  func lowerClip() throws {
    let tiny = try TinyModel(seed: 179)
    var batch = PolicyBatch(tiny, lengths: [[(2, 3), (2, 3)]], seed: 180)
    batch.groups[0].rewards = [0, 1]
    batch.configuration.entropyCoef = 0
    batch.configuration.auxLossCoef = 0
    batch.configuration.diffusionLossCoef = 0
    batch.configuration.klCoef = 0
    batch.configuration.clipEpsilonLow = 0.3
    try batch.setRatios([0.6])
    let items = try batch.items()
    let low = batch.accumulate([items[0]], into: tiny.gradients)
    #expect(low.statistics.clippedLow == 3 && low.statistics.clippedHigh == 0)
    // −weight · (1 − 0.3) · Â over three of six tokens, Â = −1.
    #expect(abs(low.terms.policy - 0.7 * 3 / 6) < 1e-6)
    #expect(tiny.gradients.values(tiny.model.embedding).allSatisfy { $0 == 0 })
    let high = batch.accumulate([items[1]], into: tiny.gradients)
    #expect(high.statistics.clippedLow == 0 && abs(high.terms.policy + 0.6 * 3 / 6) < 1e-5)
    #expect(tiny.gradients.values(tiny.model.embedding).contains { $0 != 0 })
  }

  @Test("Token by token against a cache gives the log-probabilities of training", arguments: NumberFormat.allCases)
  func rolloutPath(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 181)
    let batch = PolicyBatch(tiny, lengths: Self.lengths, seed: 182)
    let items = try batch.items()
    let training = batch.accumulate(items, into: tiny.gradients)
    let trajectories = batch.groups.flatMap(\.trajectories)
    for (trajectory, result) in zip(trajectories, training.results) {
      let cache = tiny.model.makeKeyValueBlocks().makeCache()
      var sampled: [Float] = []
      for position in 0..<trajectory.tokens.count - 1 {
        let prefix = tiny.model.prefix(
          TokenBatch(
            tokens: [trajectory.tokens[position]], spans: [Span(first: 0, count: 1, position: position)],
            in: tiny.context.arena),
          tiny.weights, tiny.context)
        let bytes = tiny.model.latentBytes
        let latents = Array(trajectory.latents[position * bytes..<(position + 1) * bytes])
        let pass = tiny.model.trunk(
          prefix, latents: tiny.context.arena.view(of: latents), caches: [cache], retention: .nothing, tiny.weights,
          tiny.context)
        let retained = tiny.context.arena.matrix(1, 1030)
        let distribution = tiny.model.head.forward(
          tiny.model.head.input(pass.hidden, tiny.forward), targets: tiny.context.arena.view(of: [-1]),
          temperature: Float(batch.configuration.temperature), keep: retained, tiny.forward)
        if trajectory.mask[position + 1] {
          sampled.append(retained.row(0)[Int(trajectory.tokens[position + 1])] - distribution.logSumExp[0])
        }
      }
      #expect(sameBits(sampled, result.logProbabilities))
    }
  }

  /// The norm of the difference of two gradients, relative to their norm.
  private func distance(_ a: ParameterStore, _ b: ParameterStore) -> Double {
    var (difference, norm) = (0.0, 0.0)
    for index in 0..<a.buffer.count {
      let (x, y) = (Double(a.buffer.pointer[index]), Double(b.buffer.pointer[index]))
      difference += (x - y) * (x - y)
      norm += y * y
    }
    return (difference / norm).squareRoot()
  }
}
