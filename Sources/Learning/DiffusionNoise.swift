import Models

/// Targets and noise of the diffusion loss for sequences with global ids.
package enum DiffusionNoise {
  package static func input(_ sequences: [(id: UInt64, tokens: [Int32])], _ learner: Learner, _ seed: UInt64)
    -> ReasoningDiffusion.LossInput?
  {
    guard let diffusion = learner.model.diffusion else { return nil }
    var input = ReasoningDiffusion.LossInput()
    for sequence in sequences {
      let targets = diffusion.targetBits(
        sequence.tokens, embedding: learner.masters.rows(learner.model.embedding))
      let noise = diffusion.noise(targets, sequence: sequence.id, seed: seed)
      input.targets += targets
      input.noisy += noise.noisy
      input.levels += noise.levels
    }
    return input
  }
}
