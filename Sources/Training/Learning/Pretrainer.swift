import Layers
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Rollouts
import Telemetry
import Tensors

/// Next-token pre-training on text windows or task demonstrations, so that reinforcement has something to start from.
///
/// Loss: mean cross-entropy over the predicted tokens whose mask is 1, over the whole batch, plus the balance and
/// diffusion losses; latents are sampled by the current weights, without gradient.
public final class Pretrainer {
  public let configuration: RunConfiguration
  public let learner: Learner
  public private(set) var stepCount = 0
  private let source: any SequenceSource
  private let schedule: LearningRateSchedule
  private(set) var skipped = 0
  /// Sequences of a unit of reproducible sums.
  static let unit = 8

  public init(configuration: RunConfiguration, learner: Learner, source: any SequenceSource) {
    self.configuration = configuration
    self.learner = learner
    self.source = source
    let pretrain = configuration.pretrain
    schedule = LearningRateSchedule(
      peak: pretrain.learningRate, warmupSteps: pretrain.warmupSteps, totalSteps: pretrain.steps)
  }

  /// Goes on after `steps` updates, `skipped` of them left out.
  func resume(steps: Int, skipped: Int) {
    stepCount = steps
    self.skipped = skipped
  }

  /// One update; returns its figures, equal on every rank. Collective.
  public func step() throws -> [String: Double] {
    var clock = PhaseClock()
    let size = configuration.pretrain.batchSize
    let (ranges, examples) = try parts()
    let predicted = try learner.communicator.allReduce(
      Int64(examples.joined().reduce(0) { $0 + $1.positions.count }), .sum)
    learner.begin()
    var records: [[Double]] = []
    let units = try learner.agree(microBatches: ranges.map { _ in 1 }).indices
    for unit in units {
      let isOwn = unit < ranges.count
      let first = isOwn ? stepCount * size + ranges[unit].lowerBound : 0
      let record = FlightRecorder.phase("micro-batch", unit) {
        accumulate(
          isOwn ? examples[unit] : [], first: UInt64(first), predicted, size, isLast: unit == units.last)
      }
      let tensor = try learner.reducer.finishUnit()
      guard isOwn else { continue }
      records.append(record)
      if let tensor { records[records.count - 1][4] = Double(tensor.index) }
    }
    try learner.experts?.check()
    try learner.debug?.requireFinite(step: stepCount + 1, learner)
    // At once: sums of other ranks wait for this one's.
    let reduced = try learner.reduce()
    let everyone = try learner.communicator.gatherRecords(records, width: 5)
    let totals = everyone.reduce([0.0, 0, 0, 0]) { sum, record in (0..<4).map { sum[$0] + record[$0] } }
    let rate = schedule.learningRate(at: stepCount)
    let pretrain = configuration.pretrain
    var metrics = [
      "loss/cross_entropy": totals[0], "loss/aux": totals[1], "loss/diffusion": totals[2],
      "loss": totals[0] + pretrain.auxLossCoef * totals[1] + pretrain.diffusionLossCoef * totals[2],
      "grad_norm": reduced.norm, "learning_rate": rate,
    ]
    try apply(reduced, metrics["loss"] ?? 0, everyone, rate)
    metrics.merge(learner.loadMetrics) { $1 }
    clock.lap("step")
    let slowest = try learner.communicator.allReduce(clock.total, .maximum)
    metrics["step_time"] = slowest
    let peak = ProcessMemory.peakBytes.map(Double.init) ?? .nan
    metrics["memory/peak_bytes"] = try learner.communicator.allReduce(peak, .maximum)
    metrics["tokens_per_second"] = totals[3] / max(1e-9, slowest)
    stepCount += 1
    return metrics
  }

  /// What this rank computes together: the places in the batch, and the sequences there.
  func parts() throws -> (ranges: [Range<Int>], examples: [[TrainingSequence]]) {
    let own = ownPlaces
    let examples = try self.examples(own)
    let ranges =
      configuration.parallel.reproducible
      ? units(own)
      : MicroBatches.parts(examples.map(\.tokens.count), configuration).map { range in
        own.lowerBound + range.lowerBound..<own.lowerBound + range.upperBound
      }
    return (
      ranges,
      ranges.map { Array(examples[$0.lowerBound - own.lowerBound..<$0.upperBound - own.lowerBound]) }
    )
  }

  /// The places in the batch of this rank's sequences: whole units where sums are reproducible.
  private var ownPlaces: Range<Int> {
    let size = configuration.pretrain.batchSize
    let unit = configuration.parallel.reproducible ? Self.unit : 1
    let share = Share(
      of: (size - 1) / unit + 1, rank: learner.communicator.rank, size: learner.communicator.size)
    return min(size, share.range.lowerBound * unit)..<min(size, share.range.upperBound * unit)
  }

  /// `places` in units, the last one perhaps smaller.
  private func units(_ places: Range<Int>) -> [Range<Int>] {
    stride(from: places.lowerBound, to: places.upperBound, by: Self.unit).map {
      $0..<min($0 + Self.unit, places.upperBound)
    }
  }

  /// The sequences of the next step at these places.
  private func examples(_ range: Range<Int>) throws -> [TrainingSequence] {
    try range.map { try source.sequence(step: stepCount, index: $0, batchSize: configuration.pretrain.batchSize) }
  }

  private func apply(_ reduced: Learner.Reduced, _ loss: Double, _ records: [[Double]], _ rate: Double) throws {
    let badTensor = records.first { $0[4] >= 0 }.map { learner.model.table.specifications[Int($0[4])].name }
    if loss.isFinite, reduced.norm.isFinite, badTensor == nil {
      let spoilt = try learner.update(
        norm: reduced.norm, learningRate: rate, maximumNorm: configuration.rl.maxGradNorm,
        balanceRate: configuration.rl.balanceRate)
      if let spoilt { throw TrainingError(spoilt: spoilt, step: stepCount + 1, key: "pretrain.learning_rate") }
      return
    }
    skipped += 1
    guard skipped <= configuration.debug.skipNonfinite else {
      let tensor = (badTensor ?? reduced.nonfinite).map { "the gradient of \($0)" } ?? "the loss (\(loss))"
      throw TrainingError(
        .failure, isAgreed: true,
        "step \(stepCount + 1): \(tensor) is not finite; lower pretrain.learning_rate or rl.max_grad_norm, or pass "
          + "--skip-nonfinite n to leave out up to n such updates")
    }
  }

  /// Cross-entropy, L_aux and L_diff (with their divisors), tokens, and −1, of one unit, the step's last or another.
  private func accumulate(
    _ examples: [TrainingSequence], first: UInt64, _ predicted: Int64, _ size: Int, isLast: Bool
  ) -> [Double] {
    let model = learner.model
    let ids = examples.indices.map { first + UInt64($0) }
    let latents = LatentSampling.latents(
      examples.map(\.tokens), ids: ids, seed: configuration.rl.seed, model, learner.weights, learner.context)
    let pretrain = configuration.pretrain
    let sequences = zip(examples, latents).map { example, latents in
      SequenceLoss.Sequence(
        tokens: example.tokens, positions: example.positions, latents: latents,
        auxiliaryWeight: Float(pretrain.auxLossCoef / Double(size)),
        diffusionWeight: Float(pretrain.diffusionLossCoef / Double(size)))
    }
    let weight = 1 / Double(max(1, predicted))
    var crossEntropy = 0.0
    let loss = SequenceLoss(
      model: model, temperature: 1, retention: configuration.rl.gradientCheckpointing ? .layerInputs : .everything,
      exchange: learner.experts?.exchange)
    func noise(_ count: Int) -> ReasoningDiffusion.LossInput? {
      DiffusionNoise.input(Array(zip(ids, examples.map(\.tokens)).prefix(count)), learner, configuration.rl.seed)
    }
    func accumulate(
      _ sequences: [SequenceLoss.Sequence], _ noise: ReasoningDiffusion.LossInput?, _ weights: PackedModel,
      _ gradients: Gradients, _ loads: RoutingLoads
    ) -> (auxiliary: Double, diffusion: Double) {
      crossEntropy = 0
      var sums = (auxiliary: 0.0, diffusion: 0.0)
      loss.accumulate(
        sequences, diffusion: noise, weights, gradients, loads: loads, learner.context
      ) { _, evaluation in
        for value in evaluation.logProbabilities { crossEntropy -= weight * Double(value) }
        evaluation.logProbabilityGradients.update(repeating: Float(-weight))
      } losses: { _, losses in
        sums.auxiliary += losses.auxiliary
        sums.diffusion += losses.diffusion
      }
      return sums
    }
    if !sequences.isEmpty {
      learner.debug?.checkGradients(learner) { count in
        let (some, someNoise) = (Array(sequences.prefix(count)), noise(count))
        return { weights, gradients, loads in
          let losses = accumulate(some, someNoise, weights, gradients, loads)
          return GradientCheck.Value(
            trunk: crossEntropy
              + (pretrain.auxLossCoef * losses.auxiliary + pretrain.diffusionLossCoef * losses.diffusion)
              / Double(size))
        }
      }
    }
    let losses = accumulate(
      sequences, noise(sequences.count), learner.weights, isLast ? learner.lastGradients() : learner.gradients,
      learner.loads)
    learner.debug?.passed(zip(ids, examples).map { ($0, $1.tokens.count) })
    return [
      crossEntropy, losses.auxiliary / Double(size), losses.diffusion / Double(size),
      Double(examples.reduce(0) { $0 + $1.tokens.count }), -1,
    ]
  }
}
