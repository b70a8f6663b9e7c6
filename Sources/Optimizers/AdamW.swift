import Foundation
import Tensors

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

  /// The parameters of an optimizer step that all tensors share.
  public struct Step<Scalar: BinaryFloatingPoint & Sendable>: Sendable {
    public var learningRate: Double
    /// The number of the optimizer step, from 1.
    public var number: Int
    /// See `GradientNorm.clipScale`; the gradients are not changed.
    public var clipScale: Scalar

    public init(learningRate: Double, number: Int, clipScale: Scalar) {
      precondition(number >= 1, "optimizer steps count from 1, got \(number)")
      self.learningRate = learningRate
      self.number = number
      self.clipScale = clipScale
    }
  }

  /// Weights, gradients and both moments of one tensor, or of a part of the tensor: equal numbers of elements.
  public struct Tensor<Scalar: BinaryFloatingPoint & BitwiseCopyable> {
    public var weights: ArrayView<Scalar>
    public var gradients: ArrayView<Scalar>
    public var firstMoments: ArrayView<Scalar>
    public var secondMoments: ArrayView<Scalar>

    public init(
      weights: ArrayView<Scalar>, gradients: ArrayView<Scalar>, firstMoments: ArrayView<Scalar>,
      secondMoments: ArrayView<Scalar>
    ) {
      let counts = [gradients.count, firstMoments.count, secondMoments.count]
      precondition(
        counts.allSatisfy { $0 == weights.count }, "\(weights.count) weights with \(counts) gradients and moments")
      self.weights = weights
      self.gradients = gradients
      self.firstMoments = firstMoments
      self.secondMoments = secondMoments
    }
  }

  /// The factors of one step on one tensor, equal for all elements, in the precision of the elements.
  struct Factors<Scalar: BinaryFloatingPoint & Sendable> {
    let keep: Scalar
    let (beta1, rest1, beta2, rest2): (Scalar, Scalar, Scalar, Scalar)
    let stepSize: Scalar
    let rootCorrection: Scalar
    let epsilon: Scalar

    init(_ optimizer: AdamW, isDecayed: Bool, _ step: Step<Scalar>) {
      let (first, second) = (optimizer.beta1, optimizer.beta2)
      keep = Scalar(isDecayed ? 1 - step.learningRate * optimizer.weightDecay : 1)
      (beta1, rest1) = (Scalar(first), Scalar(1 - first))
      (beta2, rest2) = (Scalar(second), Scalar(1 - second))
      stepSize = Scalar(step.learningRate / (1 - pow(first, Double(step.number))))
      rootCorrection = Scalar(1 / (1 - pow(second, Double(step.number))).squareRoot())
      epsilon = Scalar(optimizer.epsilon)
    }
  }

  /// Updates one tensor in place. This is the specification, in any precision; `AdamWState` gives the same bits in
  /// fp32, for complete models, with vector kernels.
  ///
  /// - Parameter isDecayed: whether weight decay applies (`ParameterSpecification.isDecayed`).
  public func update<Scalar: BitwiseCopyable>(_ tensor: Tensor<Scalar>, isDecayed: Bool, _ step: Step<Scalar>) {
    let factors = Factors<Scalar>(self, isDecayed: isDecayed, step)
    let (first, second) = (tensor.firstMoments, tensor.secondMoments)
    for index in tensor.weights.indices {
      let gradient = step.clipScale * tensor.gradients[index]
      first[index] = (factors.rest1 * gradient).addingProduct(factors.beta1, first[index])
      second[index] = (factors.rest2 * (gradient * gradient)).addingProduct(factors.beta2, second[index])
      let root = second[index].squareRoot()
      let direction = first[index] / factors.epsilon.addingProduct(root, factors.rootCorrection)
      tensor.weights[index] = (factors.keep * tensor.weights[index]).addingProduct(-factors.stepSize, direction)
    }
  }
}
