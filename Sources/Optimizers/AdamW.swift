import Foundation

/// Adam with decoupled weight decay, over raw buffers.
///
/// At optimizer step s (from 1), for each element, in this order:
///
///     g ← clipScale · gradient
///     w ← w(1 − lr · weightDecay)                       only where the tensor is decayed
///     m ← β1 m + (1 − β1) g
///     v ← β2 v + (1 − β2) g²
///     w ← w − lr/(1 − β1ˢ) · m / (sqrt(v)/sqrt(1 − β2ˢ) + ε)
///
/// The bias corrections are float64; the elementwise arithmetic is in the buffers' type. Elements are independent, so
/// any split of a tensor over threads or ranks gives the same bits.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
public struct AdamW: Sendable, Equatable {
  public var beta1 = 0.9
  public var beta2 = 0.999
  public var epsilon = 1e-8
  public var weightDecay = 0.01

  @inlinable
  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  /// Updates `count` elements of one tensor in place.
  ///
  /// - Parameters:
  ///   - decayed: whether the tensor decays, see `isDecayed(name:)`.
  ///   - step: the number of this optimizer step, from 1.
  ///   - clipScale: see `GradientNorm.clipScale`; the gradients themselves are not changed.
  @inlinable
  public func step<Scalar: BinaryFloatingPoint>(
    weights: UnsafeMutablePointer<Scalar>, gradients: UnsafePointer<Scalar>,
    firstMoment: UnsafeMutablePointer<Scalar>, secondMoment: UnsafeMutablePointer<Scalar>, count: Int,
    decayed: Bool, learningRate: Double, step: Int, clipScale: Scalar
  ) {
    precondition(step >= 1, "optimizer steps count from 1, got \(step)")
    let keep = Scalar(decayed ? 1 - learningRate * weightDecay : 1)
    let (first, second) = (Scalar(beta1), Scalar(beta2))
    let (firstRest, secondRest) = (Scalar(1 - beta1), Scalar(1 - beta2))
    let stepSize = Scalar(learningRate / (1 - pow(beta1, Double(step))))
    let rootCorrection = Scalar(1 / (1 - pow(beta2, Double(step))).squareRoot())
    let floor = Scalar(epsilon)
    // The square root of a number that may be negative is a library call to the compiler, which keeps a loop scalar.
    // In a loop of its own it leaves the two others vectorised: 1.6 times as fast as one loop (8M elements, SSE2).
    withUnsafeTemporaryAllocation(of: Scalar.self, capacity: 256) { roots in
      var start = 0
      while start < count {
        let length = min(256, count - start)
        let (weights, gradients) = (weights + start, gradients + start)
        let (firstMoment, secondMoment) = (firstMoment + start, secondMoment + start)
        for index in 0..<length {
          let gradient = clipScale * gradients[index]
          firstMoment[index] = first * firstMoment[index] + firstRest * gradient
          secondMoment[index] = second * secondMoment[index] + secondRest * (gradient * gradient)
        }
        for index in 0..<length { roots[index] = secondMoment[index].squareRoot() }
        for index in 0..<length {
          let direction = firstMoment[index] / (roots[index] * rootCorrection + floor)
          weights[index] = keep * weights[index] - stepSize * direction
        }
        start += length
      }
    }
  }

  /// Whether weight decay applies to the tensor of this name: names ending in `.weight` that are not norms, routers,
  /// the embedding or the value head.
  public static func isDecayed(name: String) -> Bool {
    let parts = name.split(separator: ".")
    guard parts.count >= 2, parts.last == "weight" else { return false }
    let owner = parts[parts.count - 2]
    let isNorm = owner == "norm" || owner.hasSuffix("_norm")
    let isRouter = owner == "router" || owner.hasSuffix("_router")
    return !isNorm && !isRouter && owner != "embedding" && owner != "value_head"
  }
}
