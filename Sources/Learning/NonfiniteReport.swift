import Models
import Parameters

extension TrainingError {
  /// An update after which weights are not finite. Every rank throws the same error.
  init(spoilt tensor: String, step: Int, key: String) {
    self.init(
      .failure, isAgreed: true,
      "step \(step): the update made \(tensor) not finite, so the run ends without saving it; lower \(key) or "
        + "rl.balance_rate, and go on from the last checkpoint or start again")
  }
}

/// Names what is not finite in a step: the same words on every rank, since all see the same records and totals.
struct NonfiniteReport: CustomStringConvertible {
  let description: String
  /// What to do.
  let remedy: String

  init?(_ reduced: Learner.Reduced, _ records: [GroupRecord], model: QuillanModel) {
    let trajectory = records.first { $0.badTrajectory >= 0 }.map { UInt64($0.badTrajectory) }
    let tensor =
      records.first { $0.badTensor >= 0 }.map { model.table[ParameterID(Int($0.badTensor))].name }
      ?? reduced.nonfinite
    guard trajectory != nil || tensor != nil || !reduced.norm.isFinite else { return nil }
    var parts: [String] = []
    if let trajectory { parts.append("the loss of trajectory \(trajectory) is not finite") }
    if let tensor {
      let group = records.first { $0.badTensor >= 0 }.map { " (group \($0.group))" } ?? ""
      let range = group.isEmpty ? "" : " or beyond 2⁴⁰, the range of parallel.reproducible"
      parts.append("the gradient of \(tensor) is not finite\(range)\(group)")
    }
    // Where the losses are finite, a gradient mostly is too large because rewards are: the value head's grows with them.
    remedy =
      trajectory == nil
      ? "lower the weights in data.rewards, rl.value_coef or rl.learning_rate"
      : "lower rl.learning_rate or rl.max_grad_norm"
    if parts.isEmpty { parts.append("the gradient norm is \(reduced.norm)") }
    description = parts.joined(separator: "; ")
  }
}
