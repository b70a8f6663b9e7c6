import CKernels

/// The sums that a chunk of a row of logits x contributes to the row's distribution.
public struct LogitSums: BitwiseCopyable, Sendable {
  /// max x.
  public var maximum: Float
  /// Σ exp(x − maximum).
  public var sum: Float
  /// Σ exp(x − maximum) · (x − maximum).
  public var weighted: Float
}

extension ArrayView<Float> {
  /// The sums of this chunk of logits.
  public var logitSums: LogitSums {
    var sums = LogitSums(maximum: 0, sum: 0, weighted: 0)
    Kernels.table.pointee.logit_partial(Int64(count), pointer, &sums.maximum, &sums.sum, &sums.weighted)
    return sums
  }

  /// Replaces this chunk of logits x by the gradient of a·log p(target) + b·entropy with respect to the logits before
  /// their division by a temperature: (a·(1[i = target] − p) − b·p·(log p + entropy)) · factor.
  ///
  /// - Parameters:
  ///   - distribution: log Σ exp(x) and the entropy of the whole row.
  ///   - target: index in the chunk; outside of it, the target is in another chunk or there is none.
  ///   - gradients: a and b.
  ///   - factor: 1/temperature.
  public func replaceByLogitGradient(
    _ distribution: (logSumExp: Float, entropy: Float), target: Int,
    gradients: (logProbability: Float, entropy: Float), factor: Float
  ) {
    Kernels.table.pointee.logit_gradient(
      Int64(count), pointer, distribution.logSumExp, distribution.entropy, Int64(target), gradients.logProbability,
      gradients.entropy, factor)
  }
}
