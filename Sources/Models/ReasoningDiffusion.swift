import CKernels
import Foundation
import Layers
import LowBit
import Parameters
import Tensors

/// Reasoning latents: d bits per position that sketch the next tokens, denoised from random bits.
///
/// All random numbers are keyed by (seed, sequence id, position), so the bits of a position do not depend on the batch.
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
    _ xContext: Matrix, identities: [Identity], seed: UInt64, _ weights: PackedModel,
    into z: UnsafeMutablePointer<UInt8>, _ context: Context
  ) {
    precondition(identities.count == xContext.rows, "\(identities.count) identities for \(xContext.rows) rows")
    let generator = Philox(seed: seed)
    let lane = context.main
    let rows = xContext.rows
    let z = UncheckedSendable(z)
    lane.arena.scoped {
      for (row, identity) in identities.enumerated() {
        generator.bits(
          into: UnsafeMutableBufferPointer(start: z.value + row * bytes, count: bytes), count: bits,
          stream: .latentNoise, sequence: identity.sequence, position: identity.position)
      }
      let (normalized, _) = denoiser.context(xContext, weights, lane)
      let levels = lane.arena.allocate(Int32.self, rows)
      let logits = lane.arena.matrix(rows, bits)
      for step in 0..<schedule.inferenceSteps {
        let reverse = schedule.reverseStep(step)
        levels.update(repeating: Int32(reverse.from), count: rows)
        lane.arena.scoped {
          _ = denoiser.forward(
            z.value, context: normalized, steps: levels, weights, into: logits, lane)
        }
        context.pool.split(rows, least: max(1, 4096 / bits)) { worker, range in
          let scratch = context.scratch[worker]
          scratch.scoped {
            let words = UnsafeMutableBufferPointer(start: scratch.allocate(UInt32.self, bits), count: bits)
            for row in range {
              if reverse.isLast {
                finish(logits.row(row), z.value + row * bytes)
              } else {
                generator.fill(
                  words: words, stream: .latentStep, step: UInt32(step), sequence: identities[row].sequence,
                  position: identities[row].position)
                Kernels.table.pointee.sigmoid(Int64(bits), logits.row(row), logits.row(row))
                advance(logits.row(row), words, reverse, z.value + row * bytes)
              }
            }
          }
        }
      }
    }
  }

  /// z = 1[sigmoid(logit) > 0.5].
  private func finish(_ logits: UnsafePointer<Float>, _ z: UnsafeMutablePointer<UInt8>) {
    for byte in 0..<bytes {
      var packed: UInt8 = 0
      for bit in 8 * byte..<min(bits, 8 * byte + 8) where logits[bit] > 0 { packed |= 1 << UInt8(bit & 7) }
      z[byte] = packed
    }
  }

  private func advance(
    _ p: UnsafePointer<Float>, _ words: UnsafeMutableBufferPointer<UInt32>, _ reverse: DiffusionSchedule.ReverseStep,
    _ z: UnsafeMutablePointer<UInt8>
  ) {
    for byte in 0..<bytes {
      let old = z[byte]
      var packed: UInt8 = 0
      for bit in 8 * byte..<min(bits, 8 * byte + 8) {
        let one = (old >> UInt8(bit & 7)) & 1 == 1
        if Double(Philox.uniform(words[bit])) < reverse.probabilityOfOne(bit: one, cleanProbability: Double(p[bit])) {
          packed |= 1 << UInt8(bit & 7)
        }
      }
      z[byte] = packed
    }
  }

  /// Target bits z* of a sequence [T, ⌈d/8⌉]: signs of Σ_j discount^(j−1) · embedding[token_{t+j}], from the fp32
  /// masters. The last position has no target; its bits are stored as 0.
  public func targetBits(_ tokens: [Int32], embedding: UnsafePointer<Float>) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: tokens.count * bytes)
    var weights = [1.0]
    while weights.count < horizon { weights.append(weights[weights.count - 1] * discount) }
    var sums = [Double](repeating: 0, count: bits)
    for position in 0..<max(0, tokens.count - 1) {
      for index in 0..<bits { sums[index] = 0 }
      for ahead in 1...horizon where position + ahead < tokens.count {
        let row = embedding + Int(tokens[position + ahead]) * bits
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

  /// Writes L_diff of each sequence to `losses`: the mean over positions with a target of the mean over bits of
  /// BCE(logits, z*). With `gradients`, also adds the gradient with respect to x_ctx to `dContext` and the gradients of
  /// the denoiser.
  ///
  /// - Parameter coefficients: dLoss/dL_diff of each sequence; required with `gradients`.
  func loss(
    _ input: LossInput, coefficients: UnsafePointer<Float>?, xContext: Matrix, spans: ArenaList<Span>,
    _ weights: PackedModel, _ gradients: Gradients?, into dContext: Matrix?, losses: UnsafeMutablePointer<Double>,
    _ context: Context
  ) {
    let lane = context.main
    lane.arena.scoped {
      let (normalized, contextSaved) = denoiser.context(xContext, weights, lane)
      let logits = lane.arena.matrix(xContext.rows, bits)
      let noisy = lane.arena.allocate(UInt8.self, input.noisy.count)
      noisy.update(from: input.noisy, count: input.noisy.count)
      let levels = lane.arena.allocate(Int32.self, input.levels.count)
      levels.update(from: input.levels, count: input.levels.count)
      let saved = denoiser.forward(noisy, context: normalized, steps: levels, weights, into: logits, lane)
      for (index, span) in spans.enumerated() {
        losses[index] = entropies(input, span, logits, coefficient: coefficients?[index] ?? 0)
      }
      if let gradients, let dContext {
        denoiser.backward(logits, saved, contextSaved: contextSaved, weights, gradients, into: dContext, lane)
      }
    }
  }

  /// The mean BCE of one sequence. Replaces the logits by their gradient times `coefficient`.
  private func entropies(_ input: LossInput, _ span: Span, _ logits: Matrix, coefficient: Float) -> Double {
    let positions = span.count - 1
    var total = 0.0
    let scale = coefficient / Float(max(1, positions) * bits)
    for offset in 0..<span.count {
      let row = logits.row(span.first + offset)
      guard offset < positions else {
        row.update(repeating: 0, count: bits)
        continue
      }
      let target = (span.first + offset) * bytes
      total += input.targets.withUnsafeBufferPointer {
        Kernels.table.pointee.bit_entropy(Int64(bits), row, $0.baseAddress.map { $0 + target }, scale)
      }
    }
    return positions > 0 ? total / Double(positions * bits) : 0
  }
}
