import Layers
import Models
import Objectives
import Parameters

/// The hooks of debug mode in a step, called in the same order on every rank.
package protocol StepObserver: AnyObject {
  /// Called before training on a micro-batch.
  ///
  /// - Parameter loss: returns the loss of the given number of first sequences of the micro-batch, to evaluate at other
  ///   masters.
  func willTrain(_ learner: Learner, loss: (Int) -> CheckedLoss.Evaluation)
  /// Called after the passes of a micro-batch.
  ///
  /// - Parameter sequences: ids and token counts of the sequences, in the order of the pass.
  func didTrain(_ sequences: [(id: UInt64, tokens: Int)])
  /// Called after all micro-batches of a step, before gradients are summed over ranks. Collective.
  ///
  /// - Throws: `TrainingError` on every rank if any rank had a value that is not finite.
  func requireFinite(step: Int, _ learner: Learner) throws
}

/// A loss evaluated at changed masters, in two parts that depend on different parameters.
package struct CheckedLoss {
  /// The part that depends on all tensors.
  package var trunk: Double
  /// The part of the value head. Its gradient reaches only the value head.
  package var value: Double

  package init(trunk: Double, value: Double = 0) {
    self.trunk = trunk
    self.value = value
  }

  init(_ terms: [ObjectiveTerms], _ objective: ObjectiveConfiguration) {
    value = terms.reduce(0) { $0 + objective.valueCoef * $1.value }
    trunk = terms.reduce(0) { $0 + $1.total(objective) } - value
  }

  /// Adds the gradients of the loss to the given gradients and its routed slots to the given loads; returns the loss.
  package typealias Evaluation = (PackedModel, Gradients, RoutingLoads) -> CheckedLoss
}
