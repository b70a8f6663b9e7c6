import Layers
import LowBit
import Models
import TestSupport
import Tensors

/// Forward and backward of a training step over one batch of the tiny model, with the allocations of each part.
///
/// Counted are all calls of the model. What they are given is made once, before: the batch and its report, latents, loss
/// input, and the gradients that an objective would compute.
final class CountedPasses {
  /// Allocations by part of the pass.
  struct Counts: Equatable {
    var prefix: Int64 = 0
    var trunk: Int64 = 0
    /// The language-model head and the value head.
    var heads: Int64 = 0
    var headsBackward: Int64 = 0
    var backward: Int64 = 0
  }

  private let counter: AllocationCounter
  private let tiny: TinyModel
  private let gradients: Gradients
  private let retention: Retention
  private let batch: TokenBatch
  private let report: BalanceReport
  private let latents: AlignedBuffer<UInt8>
  /// The rows that predict something, and what.
  private let predictors: AlignedBuffer<Int>
  private let targets: AlignedBuffer<Int32>
  /// What the loss gives back for each of these rows: the same for log-probabilities, entropies and values.
  private let slopes: AlignedBuffer<Float>
  private let lossInput: ReasoningDiffusion.LossInput
  private let coefficients: AlignedBuffer<Float>
  private let losses: AlignedBuffer<Double>

  init(_ format: NumberFormat, retention: Retention, mixedPrecision: Bool, _ counter: AllocationCounter) throws {
    self.counter = counter
    tiny = try TinyModel(format, seed: 151, pool: counter.pool)
    gradients = Gradients(tiny.gradients, mixedPrecision: mixedPrecision)
    self.retention = retention
    let lengths = [7, 1, 18]
    let rows = lengths.reduce(0, +)
    let bytes = rows * tiny.model.latentBytes
    var numbers = RandomNumbers(seed: 152)
    let vocabulary = tiny.model.configuration.vocabSize
    batch = TokenBatch(
      sequences: lengths.map { numbers.tokens($0, vocabulary: vocabulary) }, in: tiny.context.arena)
    report = BalanceReport(
      terms: BalanceTerms(
        lengths: ArenaList(lengths, in: tiny.context.arena),
        coefficients: ArenaList([0.3, 0.5, 0.2], in: tiny.context.arena), layers: 2),
      members: 3, loads: tiny.model.makeLoads(), in: tiny.context.arena)
    latents = Self.buffer(numbers.bytes(bytes))
    predictors = Self.buffer(Array(0..<rows - 1))
    targets = Self.buffer(numbers.tokens(predictors.count, vocabulary: vocabulary))
    slopes = Self.buffer(numbers.normals(predictors.count, scale: 0.1))
    lossInput = ReasoningDiffusion.LossInput(
      targets: numbers.bytes(bytes), noisy: numbers.bytes(bytes), levels: (0..<rows).map { Int32($0 % 10 + 1) })
    coefficients = Self.buffer([0.7, 0.1, 0.4])
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
    let mark = context.arena.mark()
    defer { context.arena.release(mark) }
    var counts = Counts()

    counter.start()
    let prefix = model.prefix(batch, weights, context)
    counts.prefix = counter.stop()

    counter.start()
    let pass = model.trunk(
      prefix, latents: latents.view, report: report, retention: retention, weights, context)
    counts.trunk = counter.stop()

    counter.start()
    let selected = model.gather(pass.hidden, rows: predictors.view, context)
    let lane = ForwardLane(weights, context.main)
    let distribution = model.head.forward(
      model.head.input(selected, lane), targets: targets.view, temperature: 0.8, lane)
    model.values(selected, weights, into: context.arena.vector(selected.rows))
    counts.heads = counter.stop()

    counter.start()
    let dSelected = context.arena.zeros(selected.rows, selected.columns)
    model.head.backward(
      distribution, dLogProbability: slopes.view, dEntropy: slopes.view, into: dSelected,
      BackwardLane(weights, gradients, context.main))
    model.backwardValues(selected, dValues: slopes.view, gradients)
    let dHidden = context.arena.zeros(pass.hidden.rows, pass.hidden.columns)
    for (row, target) in predictors.view.enumerated() {
      dHidden.row(target).update(from: dSelected.row(row), count: dHidden.columns)
    }
    counts.headsBackward = counter.stop()

    counter.start()
    model.backward(
      pass, dHidden: dHidden,
      QuillanModel.DiffusionLosses(lossInput, coefficients: coefficients.view, into: losses.view), weights, gradients,
      context)
    counts.backward = counter.stop()
    return counts
  }
}
