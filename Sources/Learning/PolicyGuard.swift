import Parameters

/// Keeps a copy of the weights with the best held-out measure, and decides when a run returns to them.
///
/// The measure is equal on every rank, so every rank decides the same. Each return halves the learning rate.
package final class PolicyGuard {
  /// What an evaluation means for the run.
  package enum Verdict: Sendable, Equatable {
    /// At least the best measure so far; the guard has copied the weights.
    case best
    case within
    /// The measure is more than `fall` below the best; the run returns to the best weights.
    case fallen
  }

  /// The state in addition to the weights.
  package struct State: Sendable, Equatable, Codable {
    /// The best measure, and the number of steps after which it was measured; nil before the first evaluation.
    package var best: Double?
    package var step = 0
    /// Number of returns to the best weights.
    package var returns = 0

    package init() {}
  }

  package let fall: Double
  package var state = State()
  /// The masters after `state.step` steps, once `state.best` is set.
  package let masters: ParameterStore

  /// - Parameters:
  ///   - fall: the allowed fall of the measure; above 0.
  ///   - masters: the masters that this rank holds; the guard holds a copy of the same tensors.
  init(fall: Double, masters: ParameterStore) {
    self.fall = fall
    self.masters = ParameterStore(masters.table, parts: masters.parts)
  }

  /// The factor of the learning rate: 1/2 for each return.
  package var rateScale: Double { state.returns < 64 ? 1 / Double(1 << state.returns) : 0 }

  func judge(_ measure: Double, step: Int, _ current: ParameterStore) -> Verdict {
    guard measure.isFinite else { return .within }
    if let best = state.best, measure < best { return measure < best - fall ? .fallen : .within }
    (state.best, state.step) = (measure, step)
    masters.copy(from: current)
    return .best
  }
}
