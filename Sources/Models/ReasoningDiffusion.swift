import Foundation
import Layers
import LowBit
import Parameters
import Tensors

/// Reasoning latents: d bits per position that sketch the next tokens, denoised from random bits.
///
/// All random numbers are keyed by (seed, sequence id, position), so the bits of a position do not depend on the batch.
/// Shapes: T positions of the batch, d model width, which is also the number of bits; V vocabulary.
public struct ReasoningDiffusion: Sendable {
  public let denoiser: Denoiser
  public let latentOut: Linear
  public let schedule: DiffusionSchedule
  private let bits: Int
  private let horizon: Int
  private let discount: Double

  init(denoiser: Denoiser, latentOut: Linear, configuration: ModelConfiguration) {
    self.denoiser = denoiser
    self.latentOut = latentOut
    schedule = DiffusionSchedule(
      steps: configuration.diffusionSteps, inferenceSteps: configuration.diffusionInferenceSteps)
    bits = configuration.dim
    horizon = configuration.latentHorizon
    discount = configuration.latentDiscount
  }

  private var bytes: Int { (bits + 7) / 8 }

  /// Identifies a position for the random numbers of its latents.
  public struct Identity: Sendable, Equatable {
    public let sequence: UInt64
    public let position: UInt32

    public init(sequence: UInt64, position: UInt32) {
      self.sequence = sequence
      self.position = position
    }
  }

  /// Samples the latents of rows `xContext` [T, d] into `z` [T, ⌈d/8⌉], at the visited noise levels of the schedule.
  public func sample(
    _ xContext: Matrix, identities: [Identity], seed: UInt64, _ weights: PackedModel, into z: ArrayView<UInt8>,
    _ context: Context
  ) {
    let rows = xContext.rows
    precondition(identities.count == rows, "\(identities.count) identities for \(rows) rows")
    precondition(z.count >= rows * bytes, "\(z.count) bytes for \(rows) rows of \(bits) bits")
    func latents(_ row: Int) -> ArrayView<UInt8> { z.part(row * bytes..<(row + 1) * bytes) }
    let generator = Philox(seed: seed)
    let main = ForwardLane(weights, context.main)
    context.arena.scoped {
      for (row, identity) in identities.enumerated() {
        generator.bits(
          into: latents(row).buffer, count: bits, stream: .latentNoise, sequence: identity.sequence,
          position: identity.position)
      }
      let (normalized, _) = denoiser.normalizedContext(xContext, main)
      let levels = context.arena.view(Int32.self, schedule.inferenceSteps * rows)
      for step in 0..<schedule.inferenceSteps {
        levels.part(step * rows..<(step + 1) * rows).fill(Int32(schedule.reverseStep(step).from))
      }
      let logits = context.arena.matrix(rows, bits)
      let memory = denoiser.prepared(rows: rows, dim: bits, main)
      // Each step needs the bits of the step before, so all of them are one region.
      denoiser.pool(rows: rows, main).region { pool in
        for step in 0..<schedule.inferenceSteps {
          denoiser.forward(
            z, context: normalized, levels: levels.part(step * rows..<(step + 1) * rows), into: logits, memory, weights,
            pool)
          // Each bit takes a random word and a function value.
          pool.split(rows, cost: .scalar(2 * bits)) { worker, range in
            for row in range {
              advance(latents(row), step, logits[row], identities[row], generator, context.scratch[worker])
            }
          }
        }
      }
    }
  }

  /// Takes the bits of one position through one step, given their logits.
  private func advance(
    _ z: ArrayView<UInt8>, _ step: Int, _ logits: Vector, _ identity: Identity, _ generator: Philox, _ scratch: Arena
  ) {
    let reverse = schedule.reverseStep(step)
    if reverse.isLast { return setFinalBits(logits, z) }
    scratch.scoped {
      let words = scratch.view(UInt32.self, bits)
      generator.fill(
        words: words.buffer, stream: .latentStep, step: UInt32(step), sequence: identity.sequence,
        position: identity.position)
      logits.applySigmoid()
      advance(z, reverse, p: logits, words)
    }
  }

  /// z = 1[sigmoid(logit) > ½], which is 1[logit > 0]: the last step needs no random word.
  private func setFinalBits(_ logits: Vector, _ z: ArrayView<UInt8>) {
    for byte in 0..<bytes {
      var packed: UInt8 = 0
      for bit in 8 * byte..<min(bits, 8 * byte + 8) where logits[bit] > 0 { packed |= 1 << UInt8(bit & 7) }
      z[byte] = packed
    }
  }

  /// Takes the bits of one position one step further, given p = P(clean bit = 1) and a random word for each bit.
  private func advance(
    _ z: ArrayView<UInt8>, _ reverse: DiffusionSchedule.ReverseStep, p: Vector, _ words: ArrayView<UInt32>
  ) {
    for byte in 0..<bytes {
      let old = z[byte]
      var packed: UInt8 = 0
      for bit in 8 * byte..<min(bits, 8 * byte + 8) {
        let isSet = (old >> UInt8(bit & 7)) & 1 == 1
        let uniform = Double(Philox.uniform(words[bit]))
        if reverse.nextBit(bit: isSet, cleanProbability: Double(p[bit]), uniform: uniform) {
          packed |= 1 << UInt8(bit & 7)
        }
      }
      z[byte] = packed
    }
  }

  /// Target bits z* of a sequence [T, ⌈d/8⌉]: signs of Σ_j discount^(j−1) · embedding[token_{t+j}], from the fp32
  /// masters [V, d]. The last position has no target; its bits are stored as 0.
  public func targetBits(_ tokens: [Int32], embedding: Matrix) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: tokens.count * bytes)
    var weights = [1.0]
    while weights.count < horizon { weights.append(weights[weights.count - 1] * discount) }
    var sums = [Double](repeating: 0, count: bits)
    for position in 0..<max(0, tokens.count - 1) {
      for index in 0..<bits { sums[index] = 0 }
      for ahead in 1...horizon where position + ahead < tokens.count {
        let row = embedding[Int(tokens[position + ahead])]
        let weight = weights[ahead - 1]
        for index in 0..<bits { sums[index] += weight * Double(row[index]) }
      }
      for index in 0..<bits where sums[index] > 0 { out[position * bytes + index >> 3] |= 1 << UInt8(index & 7) }
    }
    return out
  }

  /// Noise levels n [T] and noised bits [T, ⌈d/8⌉] of a sequence for the diffusion loss: n uniform in 1…N,
  /// each bit flipped with probability (1 − ᾱ_n)/2; drawn at every position.
  public func noise(_ targets: [UInt8], sequence: UInt64, seed: UInt64) -> (levels: [Int32], noisy: [UInt8]) {
    let generator = Philox(seed: seed)
    let positions = targets.count / bytes
    var noisy = targets
    var words = [UInt32](repeating: 0, count: bits)
    let levels = (0..<positions).map { position in
      let word = generator.word(stream: .diffusionStep, sequence: sequence, position: UInt32(position))
      let level = schedule.trainingLevel(word: word)
      let flip = schedule.flipProbability(at: level)
      words.withUnsafeMutableBufferPointer {
        generator.fill(words: $0, stream: .diffusionNoise, sequence: sequence, position: UInt32(position))
      }
      for bit in 0..<bits where Double(Philox.uniform(words[bit])) < flip {
        noisy[position * bytes + bit >> 3] ^= 1 << UInt8(bit & 7)
      }
      return Int32(level)
    }
    return (levels, noisy)
  }

  /// The inputs of a micro-batch's diffusion loss, rows as in the batch.
  public struct LossInput: Sendable {
    public var targets: [UInt8]
    public var noisy: [UInt8]
    public var levels: [Int32]

    public init(targets: [UInt8] = [], noisy: [UInt8] = [], levels: [Int32] = []) {
      self.targets = targets
      self.noisy = noisy
      self.levels = levels
    }
  }

  /// What the backward pass of the loss needs.
  struct LossBackward {
    /// dLoss/dL_diff of each sequence.
    let coefficients: ArrayView<Float>
    /// Receives the gradient with respect to x_ctx, added [T, d].
    let dContext: Matrix
    /// Receives the gradients of the denoiser.
    let gradients: Gradients
  }

  /// Writes L_diff of each sequence to `losses`: the mean over positions with a target of the mean over bits of
  /// BCE(logits, z*). With `backward`, also adds the gradients.
  func loss(
    _ input: LossInput, of prefix: PrefixPass, into losses: ArrayView<Double>, backward: LossBackward?,
    _ weights: PackedModel, _ context: Context
  ) {
    let lane = context.main
    let (xContext, spans) = (prefix.xContext, prefix.batch.spans)
    lane.arena.scoped {
      let main = ForwardLane(weights, lane)
      let (normalized, contextSaved) = denoiser.normalizedContext(xContext, main)
      let logits = lane.arena.matrix(xContext.rows, bits)
      let levels = lane.arena.view(of: input.levels)
      let saved = denoiser.forward(
        lane.arena.view(of: input.noisy), context: normalized, levels: levels, into: logits, main)
      let targets = lane.arena.view(of: input.targets)
      for (index, span) in spans.enumerated() {
        losses[index] = entropies(targets, span, logits, coefficient: backward?.coefficients[index] ?? 0)
      }
      if let backward {
        denoiser.backward(
          logits, saved, levels: levels, contextSaved: contextSaved, into: backward.dContext,
          BackwardLane(weights, backward.gradients, lane))
      }
    }
  }

  /// The mean BCE of one sequence. Replaces the logits by their gradient times `coefficient`.
  private func entropies(
    _ targets: ArrayView<UInt8>, _ span: Span, _ logits: Matrix, coefficient: Float
  ) -> Double {
    let positions = span.count - 1
    var total = 0.0
    let scale = coefficient / Float(max(1, positions) * bits)
    for (offset, row) in span.rows.enumerated() {
      guard offset < positions else {
        logits[row].fill(0)
        continue
      }
      total += logits[row].bitEntropy(targets.part(row * bytes..<(row + 1) * bytes), gradientTimes: scale)
    }
    return positions > 0 ? total / Double(positions * bits) : 0
  }
}
