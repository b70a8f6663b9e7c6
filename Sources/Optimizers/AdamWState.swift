import Parameters
import Tensors

/// AdamW over the parts of a model that a rank updates: holds both moments and updates weights.
///
/// Threads process contiguous runs of nearly equal size. The result of an element does not depend on the threads, the
/// parts or the instruction set.
public final class AdamWState: Sendable {
  public let optimizer: AdamW
  public let firstMoments: MomentStore
  public let secondMoments: MomentStore
  /// The parts to update, in table order.
  public var parts: [ParameterPart] { firstMoments.parts }
  private let decayed: [Bool]
  /// The parts of each of the `runs.count` threads.
  private let runs: [[ParameterPart]]

  /// - Parameters:
  ///   - parts: the parts to update; balance biases have no gradient and must not be among them.
  ///   - threads: the thread count of the pool that `step` will get.
  public init(
    _ optimizer: AdamW, table: ParameterTable, parts: [ParameterPart], format: MomentFormat, threads: Int
  ) {
    self.optimizer = optimizer
    firstMoments = MomentStore(table, parts: parts, format: format)
    secondMoments = MomentStore(table, parts: parts, format: format)
    decayed = table.specifications.map { $0.isDecayed }
    let total = parts.reduce(0) { $0 + $1.elements.count }
    let workers = max(1, min(threads, total >> 16))
    runs = (0..<workers).map { ParameterPart.share(parts, index: $0, of: workers) }
  }

  /// One optimizer step on all parts.
  ///
  /// - Parameters:
  ///   - masters: hold at least `parts`; changed in place.
  ///   - gradients: hold at least `parts`; not changed.
  ///   - step: the number of this optimizer step, from 1; it also keys the rounding of 8-bit moments.
  ///   - clipScale: see `GradientNorm.clipScale`.
  public func step(
    masters: ParameterStore, gradients: ParameterStore, learningRate: Double, step: Int, clipScale: Float,
    pool: WorkerPool
  ) {
    let update = AdamW.Step(learningRate: learningRate, number: step, clipScale: clipScale)
    let (plain, shrinking) = (kernelStep(isDecayed: false, update), kernelStep(isDecayed: true, update))
    pool.each(runs.count) { _, run in
      for part in runs[run] {
        let kernel = decayed[part.id.index] ? shrinking : plain
        let (weights, gradient) = (masters.vector(part), gradients.vector(part))
        if let first = firstMoments.values, let second = secondMoments.values {
          kernel.update(weights, gradient: gradient, first.vector(part), second.vector(part))
        } else {
          kernel.update(
            weights, gradient: gradient, firstMoments.moment(part), root: secondMoments.moment(part),
            first: part.elements.lowerBound, key: Self.key(part.id, step: step))
        }
      }
    }
  }

  private func kernelStep(isDecayed: Bool, _ step: AdamW.Step<Float>) -> AdamWStep {
    let factors = AdamW.Factors<Float>(optimizer, isDecayed: isDecayed, step)
    return AdamWStep(
      clipScale: step.clipScale, beta1: (factors.beta1, rest: factors.rest1),
      beta2: (factors.beta2, rest: factors.rest2), keep: factors.keep, stepSize: factors.stepSize,
      rootCorrection: factors.rootCorrection, epsilon: factors.epsilon)
  }

  /// A different number for each tensor and step.
  private static func key(_ id: ParameterID, step: Int) -> UInt32 {
    Philox.bijection(
      counter: SIMD4(UInt32(truncatingIfNeeded: step), UInt32(id.index), 0, 0), key: SIMD2(0, 0))[0]
  }
}
