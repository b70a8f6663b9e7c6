import Layers
import LowBit
import Models
import Tensors
import TestSupport
import Testing

/// A sequence's numbers are its own: whatever stands beside it, and however it is cut, the bits are the same.
@Suite("The bits of a sequence do not depend on the batch")
struct BatchIndependenceTests {
  private static let lengths = [5, 1, 23, 17, 2, 34]

  @Test("Alone, in a batch, and in a batch in another order", arguments: NumberFormat.allCases)
  func batches(_ format: NumberFormat) throws {
    let sequences = Sequences(try TinyModel(format, seed: 101), lengths: Self.lengths, seed: 102)
    let alone = Self.lengths.indices.map { sequences.alone($0) }
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 5, 0, 0, 4], [1, 3]] {
      let batch = sequences.outcome(order.map { ($0, 0..<Self.lengths[$0]) })
      var first = 0
      for sequence in order {
        let range = first..<first + Self.lengths[sequence]
        #expect(sequences.rows(batch, range).sameBits(as: alone[sequence]), "sequence \(sequence) in \(order)")
        first = range.upperBound
      }
    }
  }

  @Test("On one, two or three threads", arguments: NumberFormat.allCases)
  func threads(_ format: NumberFormat) throws {
    let outcomes = try (1...3).map { threads in
      let sequences = Sequences(
        try TinyModel(format, seed: 103, pool: WorkerPool(threads: threads)) { $0.dim = 140 }, lengths: Self.lengths,
        seed: 104)
      return sequences.outcome(Self.lengths.indices.map { ($0, 0..<Self.lengths[$0]) })
    }
    #expect(outcomes[1].sameBits(as: outcomes[0]) && outcomes[2].sameBits(as: outcomes[0]))
  }

  @Test("Whole, in pieces, or token by token against a cache", arguments: NumberFormat.allCases)
  func caches(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 105)
    let sequences = Sequences(tiny, lengths: [37, 18], seed: 106)
    let whole = [sequences.alone(0), sequences.alone(1)]
    for cuts in [Array(1...37), [16, 32, 37], [5, 6, 20, 37], [37], [36, 37], [15, 17, 18, 37]] {
      let cache = tiny.model.makeKeyValueBlocks().makeCache()
      var joined = Sequences.Outcome()
      var first = 0
      for cut in cuts {
        let part = sequences.outcome([(0, first..<cut)], caches: [cache])
        joined += part
        first = cut
      }
      #expect(joined.sameBits(as: whole[0]), "cut at \(cuts)")
    }
    // Two sequences of different age in one batch of decoding.
    let blocks = tiny.model.makeKeyValueBlocks()
    let caches = [blocks.makeCache(), blocks.makeCache()]
    _ = sequences.outcome([(0, 0..<19)], caches: [caches[0]])
    for step in 0..<18 {
      let part = sequences.outcome([(0, 19 + step..<20 + step), (1, step..<step + 1)], caches: caches)
      #expect(sequences.rows(part, 0..<1).sameBits(as: sequences.rows(whole[0], 19 + step..<20 + step)))
      #expect(sequences.rows(part, 1..<2).sameBits(as: sequences.rows(whole[1], step..<step + 1)))
    }
  }

  @Test("A prompt's prefill can be shared without a copy", arguments: NumberFormat.allCases)
  func sharedPrompt(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 107)
    for prompt in [1, 7, 16, 21] {
      var sequences = Sequences(tiny, lengths: [prompt + 9, prompt + 4], seed: 108)
      // The second sequence begins like the first.
      let bytes = tiny.model.latentBytes
      var tokens = sequences.tokens
      var latents = sequences.latents
      tokens[1].replaceSubrange(0..<prompt, with: tokens[0][0..<prompt])
      latents[1].replaceSubrange(0..<prompt * bytes, with: latents[0][0..<prompt * bytes])
      sequences = Sequences(tiny, tokens: tokens, latents: latents)
      let blocks = tiny.model.makeKeyValueBlocks()
      do {
        // What an earlier sequence left behind must not show.
        let stale = Sequences(tiny, lengths: [40], seed: 109)
        _ = stale.outcome([(0, 0..<40)], caches: [blocks.makeCache()])
      }
      let source = blocks.makeCache()
      _ = sequences.outcome([(0, 0..<prompt)], caches: [source])
      for _ in 0..<2 {
        // Both sequences live at the same time; the second round shows that the first left the prompt as it was.
        let caches = (0..<2).map { _ in KeyValueCache(sharing: prompt, of: source) }
        for sequence in 0..<2 {
          let count = tokens[sequence].count
          let rest = sequences.outcome([(sequence, prompt..<count)], caches: [caches[sequence]])
          #expect(rest.sameBits(as: sequences.rows(sequences.alone(sequence), prompt..<count)))
        }
      }
    }
  }

  @Test("Whatever a pass keeps", arguments: NumberFormat.allCases)
  func retention(_ format: NumberFormat) throws {
    let sequences = Sequences(try TinyModel(format, seed: 110), lengths: [6, 19], seed: 111)
    let parts = [(0, 0..<6), (1, 0..<19)]
    let nothing = sequences.outcome(parts)
    #expect(sequences.outcome(parts, retention: .everything).sameBits(as: nothing))
    #expect(sequences.outcome(parts, retention: .layerInputs).sameBits(as: nothing))
  }

  @Test("A log-probability from kept logits is that of the training path", arguments: NumberFormat.allCases)
  func samplerPath(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 112)
    let sequences = Sequences(tiny, lengths: [12], seed: 113)
    let context = tiny.context
    let prefix = tiny.model.prefix(
      TokenBatch(sequences: [sequences.tokens[0]], in: context.arena), tiny.weights, context)
    let pass = tiny.model.trunk(
      prefix, latents: context.arena.view(of: sequences.latents[0]), retention: .nothing, tiny.weights, context)
    let input = tiny.model.head.input(pass.hidden, tiny.forward)
    let kept = context.arena.matrix(12, 1030)
    let sampler = tiny.model.head.forward(
      input, targets: context.arena.view(repeating: -1, count: 12), temperature: 0.7, keep: kept, tiny.forward)
    for target: Int32 in [0, 511, 1023, 1024, 1029] {
      let training = tiny.model.head.forward(
        input, targets: context.arena.view(repeating: target, count: 12), temperature: 0.7, tiny.forward)
      for row in 0..<12 {
        #expect(kept.row(row)[Int(target)] - sampler.logSumExp[row] == training.logProbability[row])
        #expect(sampler.entropy[row] == training.entropy[row])
      }
    }
  }
}
