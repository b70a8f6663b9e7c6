import Configuration
import Layers
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
    let prompt = min(configuration.model.maxSeqLen, configuration.data.longestPrompt)
    let sequence = cacheBytes(
      configuration.model, promptLength: prompt,
      generated: min(configuration.model.maxSeqLen - prompt, configuration.objective.maxTrajectoryLen), sequences: 1,
      prompts: 1)
    return min(
      Sampler.standardBatch, max(rollout(configuration, ranks: ranks), evaluationCacheBytes / max(1, sequence)))
  }

  private static let evaluationCacheBytes = 256 << 20

  /// Maximum bytes of the keys and values of `sequences` sequences of `prompts` prompts, each completed to its limit.
  ///
  /// Sequences share the whole blocks of their prompt; each has blocks of its own from the prompt's last, partial block
  /// on.
  package static func cacheBytes(
    _ model: ModelConfiguration, promptLength: Int, generated: Int, sequences: Int, prompts: Int
  ) -> Int {
    let block = KeyValueBlocks.positions
    let length = Saturating.sum(promptLength, generated)
    let own = Saturating.sum(length, block - 1) / block - promptLength / block
    let shared = Saturating.sum(promptLength, block - 1) / block
    return KeyValueBlocks.bytes(
      layers: model.numLayers, dim: model.dim,
      blocks: Saturating.sum(Saturating.product(own, sequences), Saturating.product(shared, prompts)))
  }
}
