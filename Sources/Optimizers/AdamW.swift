import Foundation

/// Adam with decoupled weight decay.
///
/// At optimizer step s (from 1), for each element, in this order, with fused multiply-adds:
///
///     g ← clipScale · gradient
///     m ← β1 m + (1 − β1) g
///     v ← β2 v + (1 − β2) g²
///     w ← w(1 − lr · weightDecay) − lr/(1 − β1ˢ) · m / (sqrt(v)/sqrt(1 − β2ˢ) + ε)
///
/// The decay applies to decayed tensors only. The bias corrections are float64; the elementwise arithmetic is in the
/// buffers' type. Elements are independent, so any split of a tensor over threads or ranks gives the same bits.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
public struct AdamW: Sendable, Equatable {
  public var beta1 = 0.9
  public var beta2 = 0.999
  public var epsilon = 1e-8
  public var weightDecay = 0.01

  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  /// The factors of one step on one tensor, which are the same for all elements, in the precision of the elements.
  struct Factors<Scalar: BinaryFloatingPoint> {
    let keep: Scalar
    let (beta1, rest1, beta2, rest2): (Scalar, Scalar, Scalar, Scalar)
    let stepSize: Scalar
    let rootCorrection: Scalar
    let epsilon: Scalar

    init(_ optimizer: AdamW, decayed: Bool, learningRate: Double, step: Int) {
      precondition(step >= 1, "optimizer steps count from 1, got \(step)")
      let (first, second) = (optimizer.beta1, optimizer.beta2)
      keep = Scalar(decayed ? 1 - learningRate * optimizer.weightDecay : 1)
      (beta1, rest1) = (Scalar(first), Scalar(1 - first))
      (beta2, rest2) = (Scalar(second), Scalar(1 - second))
      stepSize = Scalar(learningRate / (1 - pow(first, Double(step))))
      rootCorrection = Scalar(1 / (1 - pow(second, Double(step))).squareRoot())
      epsilon = Scalar(optimizer.epsilon)
    }
  }

  /// Updates `count` elements of one tensor in place. This is the specification, in any precision; `AdamWState` gives
  /// the same bits in fp32, for whole models, with vector kernels.
  ///
  /// - Parameters:
  ///   - decayed: whether the tensor decays, see `isDecayed(name:)`.
  ///   - step: the number of this optimizer step, from 1.
  ///   - clipScale: see `GradientNorm.clipScale`; the gradients themselves are not changed.
  public func step<Scalar: BinaryFloatingPoint>(
    weights: UnsafeMutablePointer<Scalar>, gradients: UnsafePointer<Scalar>,
    firstMoment: UnsafeMutablePointer<Scalar>, secondMoment: UnsafeMutablePointer<Scalar>, count: Int,
    decayed: Bool, learningRate: Double, step: Int, clipScale: Scalar
  ) {
    let factors = Factors<Scalar>(self, decayed: decayed, learningRate: learningRate, step: step)
    for index in 0..<count {
      let gradient = clipScale * gradients[index]
      firstMoment[index] = (factors.rest1 * gradient).addingProduct(factors.beta1, firstMoment[index])
      secondMoment[index] = (factors.rest2 * (gradient * gradient)).addingProduct(factors.beta2, secondMoment[index])
      let root = secondMoment[index].squareRoot()
      let direction = firstMoment[index] / factors.epsilon.addingProduct(root, factors.rootCorrection)
      weights[index] = (factors.keep * weights[index]).addingProduct(-factors.stepSize, direction)
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
