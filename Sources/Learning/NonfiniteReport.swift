import Models
import Parameters

extension TrainingError {
  /// An update that made weights not finite. Every rank throws the same error.
  init(spoilt tensor: String, step: Int, key: String) {
    self.init(
      .failure, isAgreed: true,
      "step \(step): the update made \(tensor) not finite, so the run ends without saving it; lower \(key) or "
        + "rl.balance_rate, then resume from the last checkpoint or start again")
  }
}

/// Describes the values of a step that are not finite. The text is the same on every rank, because all ranks see the
/// same records and totals.
package struct NonfiniteReport: CustomStringConvertible, Sendable {
  package let description: String
  /// Whether all losses are finite. If they are, a gradient is too large, mostly because rewards are too large.
  private let hasFiniteLosses: Bool
  private let isPolicy: Bool

  /// Nil if everything is finite.
  init?(_ reduced: Learner.Reduced, _ records: [some StepRecord], model: QuillanModel) {
    let firstLoss = records.first { $0.nonfiniteSequence != nil }
    let failed = records.first { $0.nonfiniteTensor != nil }
    let tensor = failed?.nonfiniteTensor.map { model.table[ParameterID($0)].name } ?? reduced.nonfinite
    guard firstLoss != nil || tensor != nil || !reduced.norm.isFinite else { return nil }
    var parts: [String] = []
    if let firstLoss, let sequence = firstLoss.nonfiniteSequence {
      parts.append("the loss of \(firstLoss.groupNumber == nil ? "sequence" : "trajectory") \(sequence) is not finite")
    }
    if let tensor {
      let group = failed?.groupNumber.map { " (group \($0))" } ?? ""
      let range = failed == nil ? "" : " or beyond 2⁴⁰, the range of parallel.reproducible"
      parts.append("the gradient of \(tensor) is not finite\(range)\(group)")
    }
    if parts.isEmpty { parts.append("the gradient norm is \(reduced.norm)") }
    hasFiniteLosses = firstLoss == nil
    isPolicy = records.contains { $0.groupNumber != nil }
    description = parts.joined(separator: "; ")
  }

  /// The remedy. The gradient of the value head grows with the rewards.
  ///
  /// - Parameter rateKey: the key of the learning rate.
  func remedy(_ rateKey: String) -> String {
    hasFiniteLosses && isPolicy
      ? "lower the weights in data.rewards, rl.value_coef or \(rateKey)" : "lower \(rateKey) or rl.max_grad_norm"
  }
}
