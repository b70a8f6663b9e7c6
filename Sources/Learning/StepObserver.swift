import Layers
import Models
import Objectives
import Parameters

/// What debug mode sees of a step: called by the step at fixed places, the same on every rank.
package protocol StepObserver: AnyObject {
  /// A micro-batch is about to be trained on.
  ///
  /// - Parameter loss: the loss of so many of the first sequences of the micro-batch, to be evaluated at other masters.
  func willTrain(_ learner: Learner, loss: (Int) -> CheckedLoss.Evaluation)
  /// The passes of a micro-batch are done.
  ///
  /// - Parameter sequences: trajectories by their ids, with their numbers of tokens, in the order of the pass.
  func didTrain(_ sequences: [(id: UInt64, tokens: Int)])
  /// All micro-batches of a step are done; gradients are not summed over ranks yet. Collective.
  ///
  /// - Throws: `TrainingError` on every rank if a value was not finite on any.
  func requireFinite(step: Int, _ learner: Learner) throws
}

/// A loss that is evaluated at changed masters, in the parts that reach different parameters.
package struct CheckedLoss {
  /// The part that reaches every tensor.
  package var trunk: Double
  /// The value head's part, which reaches only the value head.
  package var value: Double

  package init(trunk: Double, value: Double = 0) {
    self.trunk = trunk
    self.value = value
  }

  init(_ terms: [ObjectiveTerms], _ objective: ObjectiveConfiguration) {
    value = terms.reduce(0) { $0 + objective.valueCoef * $1.value }
    trunk = terms.reduce(0) { $0 + $1.total(objective) } - value
  }

  /// Adds the gradients of the loss to the given ones and its routed slots to the loads; returns the loss.
  package typealias Evaluation = (PackedModel, Gradients, RoutingLoads) -> CheckedLoss
}
