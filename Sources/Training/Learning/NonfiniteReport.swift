import Models
import Parameters

extension TrainingError {
  /// An update whose weights are no numbers any more: on every rank alike.
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
      parts.append("the gradient of \(tensor) is not finite or beyond range\(group)")
    }
    if parts.isEmpty { parts.append("the gradient norm is \(reduced.norm)") }
    description = parts.joined(separator: "; ")
  }
}
