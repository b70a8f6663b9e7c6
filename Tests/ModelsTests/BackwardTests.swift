import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("The backward pass of the whole model")
struct BackwardTests {
  /// Every gradient, L_diff and L_aux of three sequences under a random gradient of h.
  private func gradients(
    _ format: NumberFormat, retention: Retention, threads: Int = 1, mixed: Bool = false, diffusion: Bool = true,
    dim: Int = 20
  ) throws -> (parameters: [Float], losses: [Double], loads: [Int64]) {
    let tiny = try TinyModel(format, seed: 141, pool: WorkerPool(threads: threads)) { sizes in
      sizes.useBitDiffusion = diffusion
      sizes.dim = dim
    }
    let lengths = [7, 1, 18]
    let sequences = Sequences(tiny, lengths: lengths, seed: 142)
    var numbers = RandomNumbers(seed: 143)
    let batch = TokenBatch(sequences: sequences.tokens, in: tiny.context.arena)
    let loads = tiny.model.makeLoads()
    let report = BalanceReport(
      terms: BalanceTerms(
        lengths: ArenaList(lengths, in: tiny.context.arena),
        coefficients: ArenaList([0.3, 0.5, 0.2], in: tiny.context.arena), layers: 2),
      members: 3, loads: loads, in: tiny.context.arena)
    let prefix = tiny.model.prefix(batch, tiny.weights, tiny.context)
    let arena = tiny.context.arena
    let pass = tiny.model.trunk(
      prefix, latents: diffusion ? arena.view(of: sequences.latents.flatMap { $0 }) : nil, report: report,
      retention: retention, tiny.weights, tiny.context)
    let input = ReasoningDiffusion.LossInput(
      targets: numbers.bytes(26 * tiny.model.latentBytes), noisy: numbers.bytes(26 * tiny.model.latentBytes),
      levels: (0..<26).map { Int32($0 % 10 + 1) })
    let dHidden = tiny.matrix(numbers.normals(26 * dim, scale: 0.1), columns: dim)
    let values = arena.view(repeating: 1.0, count: lengths.count)
    tiny.model.backward(
      pass, dHidden: dHidden,
      QuillanModel.DiffusionLosses(
        diffusion ? input : nil, coefficients: arena.view(of: [0.7, 0.1, 0.4]), into: values),
      tiny.weights, Gradients(tiny.gradients, mixedPrecision: mixed), tiny.context)
    let losses = Array(values)
    if diffusion {
      #expect(tiny.model.diffusionLosses(prefix, input, tiny.weights, tiny.context) == losses)
      #expect(losses[1] == 0, "a single token has no target")
    }
    return (tiny.gradients.buffer.array, losses + lengths.indices.map(pass.auxiliaryLoss), loads.counts.array)
  }

  @Test(
    "Computing layers again gives the same bits as keeping them, and counts no slot twice",
    arguments: NumberFormat.allCases)
  func recomputation(_ format: NumberFormat) throws {
    for mixed in [false, true] {
      let kept = try gradients(format, retention: .everything, mixed: mixed)
      let recomputed = try gradients(format, retention: .layerInputs, mixed: mixed)
      #expect(sameBits(kept.parameters, recomputed.parameters))
      #expect(kept.losses == recomputed.losses && kept.loads == recomputed.loads)
      #expect(kept.parameters.allSatisfy { $0.isFinite } && kept.parameters.contains { $0 != 0 })
    }
  }

  @Test("Gradients, losses and loads do not depend on the threads", arguments: NumberFormat.allCases)
  func threads(_ format: NumberFormat) throws {
    let one = try gradients(format, retention: .everything, dim: 140)
    for threads in 2...3 {
      let other = try gradients(format, retention: .layerInputs, threads: threads, dim: 140)
      #expect(sameBits(other.parameters, one.parameters) && other.losses == one.losses && other.loads == one.loads)
    }
  }

  @Test(
    "Without bit diffusion forward and backward run, and no latents are asked for", arguments: NumberFormat.allCases)
  func withoutDiffusion(_ format: NumberFormat) throws {
    let result = try gradients(format, retention: .everything, diffusion: false)
    #expect(result.parameters.allSatisfy { $0.isFinite } && result.parameters.contains { $0 != 0 })
    #expect(result.losses[0..<3].allSatisfy { $0 == 0 })
    let tiny = try TinyModel(format, seed: 144) { $0.useBitDiffusion = false }
    let sequences = Sequences(tiny, lengths: [9], seed: 145)
    #expect(sequences.alone(0).logits.allSatisfy { $0.isFinite })
  }

  @Test("The value head stops the gradient: h gets none from values")
  func valueStops() throws {
    let tiny = try TinyModel(seed: 146)
    var numbers = RandomNumbers(seed: 147)
    let h = tiny.matrix(numbers.normals(60), columns: 20)
    tiny.model.backwardValues(
      h, dValues: tiny.context.arena.view(of: [1, -2, 3]), Gradients(tiny.gradients, mixedPrecision: false))
    for id in tiny.model.table.ids where !tiny.model.table[id].name.hasPrefix("value_head") {
      #expect(tiny.gradients.values(id).allSatisfy { $0 == 0 })
    }
  }
}
