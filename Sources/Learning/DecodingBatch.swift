import Configuration
import Models
import Rollouts

/// How many sequences a rank decodes together, and the size of their key-value caches.
package enum DecodingBatch {
  /// Sequences that a rank samples in a rollout.
  package static func sequences(_ configuration: RunConfiguration, ranks: Int) -> Int {
    let rl = configuration.rl
    let trajectories = Saturating.product(Saturating.product(rl.batchSize, rl.miniBatches), rl.numTrajectories)
    return (trajectories - 1) / ranks + 1
  }

  /// Sequences of a rollout that a rank decodes together at most.
  package static func rollout(_ configuration: RunConfiguration, ranks: Int) -> Int {
    min(Sampler.standardBatch, sequences(configuration, ranks: ranks))
  }

  /// Sequences of an evaluation: as many as in a rollout or, if that is more, as fit in `evaluationCacheBytes`.
  package static func evaluation(_ configuration: RunConfiguration, ranks: Int) -> Int {
    let length = configuration.data.longestPrompt + configuration.objective.maxTrajectoryLen
    let sequence = cacheBytes(configuration.model, positions: min(configuration.model.maxSeqLen, length))
    return min(
      Sampler.standardBatch, max(rollout(configuration, ranks: ranks), evaluationCacheBytes / max(1, sequence)))
  }

  private static let evaluationCacheBytes = 256 << 20

  /// Bytes of the keys and values of a sequence of `positions` tokens: fp32, positions padded to vectors of 16.
  package static func cacheBytes(_ model: ModelConfiguration, positions: Int) -> Int {
    Saturating.product(
      8 * model.numLayers * model.dim, Saturating.product(Saturating.sum(positions, 15) / 16, 16))
  }
}
