import Rollouts

extension Trajectory {
  /// This trajectory with NaN log-probabilities.
  package var damaged: Trajectory {
    Trajectory(
      id: id, promptID: promptID, promptLength: promptLength, tokens: tokens, mask: mask, latents: latents,
      logProbabilities: logProbabilities.map { _ in .nan }, finished: finished)
  }
}
