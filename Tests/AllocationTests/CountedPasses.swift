import CAllocations
import Layers
import LowBit
import Models
import TestSupport
import Tensors

/// Forward and backward of a training step over one batch of the tiny model, with the allocations of each part.
///
/// Counted are the model's own calls: what they are given (batch, report, latents, loss input, the gradients that the
/// objective would compute) is made once, before. The passes run on one thread and one rank: a `CouncilExchange`, which
/// calls MPI, is not part of them.
final class CountedPasses {
  /// Allocations by part of the pass.
  struct Counts: Equatable {
    var prefix: Int64 = 0
    var trunk: Int64 = 0
    var head: Int64 = 0
    var headBackward: Int64 = 0
    var backward: Int64 = 0
  }

  private let tiny: TinyModel
  private let gradients: Gradients
  private let retention: Retention
  private let batch: TokenBatch
  private let report: BalanceReport
  private let latents: AlignedBuffer<UInt8>
  private let targets: AlignedBuffer<Int32>
  /// What the loss gives back for each row: the same for log-probabilities and entropies.
  private let slopes: AlignedBuffer<Float>
  private let lossInput: ReasoningDiffusion.LossInput
  private let losses: AlignedBuffer<Double>

  init(_ format: NumberFormat, retention: Retention, mixedPrecision: Bool) throws {
    tiny = try TinyModel(format, seed: 151)
    gradients = Gradients(tiny.gradients, mixedPrecision: mixedPrecision)
    self.retention = retention
    let lengths = [7, 1, 18]
    let rows = lengths.reduce(0, +)
    let bytes = rows * tiny.model.latentBytes
    var numbers = RandomNumbers(seed: 152)
    let vocabulary = tiny.model.configuration.vocabSize
    batch = TokenBatch(sequences: lengths.map { numbers.tokens($0, vocabulary: vocabulary) })
    report = BalanceReport(
      terms: BalanceTerms(lengths: lengths, coefficients: [0.3, 0.5, 0.2], layers: 2),
      sequenceOfToken: batch.sequenceOfToken, members: 3, loads: tiny.model.makeLoads())
    latents = Self.buffer(numbers.bytes(bytes))
    targets = Self.buffer(numbers.tokens(rows, vocabulary: vocabulary))
    slopes = Self.buffer(numbers.normals(rows, scale: 0.1))
    lossInput = ReasoningDiffusion.LossInput(
      targets: numbers.bytes(bytes), noisy: numbers.bytes(bytes), levels: (0..<rows).map { Int32($0 % 10 + 1) },
      coefficients: [0.7, 0.1, 0.4])
    losses = AlignedBuffer(count: lengths.count)
  }

  private static func buffer<Element: BitwiseCopyable>(_ values: [Element]) -> AlignedBuffer<Element> {
    let buffer = AlignedBuffer<Element>(count: values.count)
    buffer.pointer.update(from: values, count: values.count)
    return buffer
  }

  /// One pass, whose memory in the arena the next one takes again.
  func run() -> Counts {
    let (model, weights, context) = (tiny.model, tiny.weights, tiny.context)
    let lane = context.main
    let mark = context.arena.mark()
    defer { context.arena.release(mark) }
    var counts = Counts()

    allocations_count(true)
    let prefix = model.prefix(batch, weights, context)
    counts.prefix = allocations_counted()

    allocations_count(true)
    let pass = model.trunk(
      prefix, latents: latents.pointer, report: report, retention: retention, weights, context)
    counts.trunk = allocations_counted()

    allocations_count(true)
    let input = model.head.input(pass.hidden, weights, lane)
    let distribution = model.head.forward(input, targets: targets.pointer, temperature: 0.8, weights, lane)
    counts.head = allocations_counted()

    let dHidden = context.arena.zeros(pass.hidden.rows, pass.hidden.columns)
    allocations_count(true)
    model.head.backward(
      input, targets: targets.pointer, temperature: 0.8, distribution, dLogProbability: slopes.pointer,
      dEntropy: slopes.pointer, weights, gradients, into: dHidden, lane)
    counts.headBackward = allocations_counted()

    allocations_count(true)
    model.backward(
      pass, dHidden: dHidden, diffusionLoss: lossInput, diffusionLosses: losses.pointer, weights, gradients, context)
    counts.backward = allocations_counted()
    allocations_count(false)
    return counts
  }
}
