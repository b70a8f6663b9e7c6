import Configuration
import Learning
import Rollouts

extension RunAssembly {
  /// Rejects a run whose prompts or recorded sequences need more memory than this machine has. Collective.
  ///
  /// - Throws: `TrainingError`, the same on every rank.
  public func checkMemory(_ phase: RunPhase, _ materials: Materials) throws {
    try RunMemory.check(configuration, promptLength: longestPrompt(materials), phase: phase, communicator)
  }

  /// Tokens of the longest of the first prompts, or the excess of the longest recorded sequence over a maximum
  /// completion.
  private func longestPrompt(_ materials: Materials) -> Int {
    if let recorded = materials.recorded {
      let longest = recorded.lazy.flatMap(\.trajectories).flatMap(\.sequences).map(\.tokens.count).max() ?? 1
      return max(1, longest - configuration.objective.maxTrajectoryLen)
    }
    guard let prompts = materials.prompts else { return 1 }
    // Sampling reports a prompt that cannot be encoded.
    let lengths = (0..<Sampler.standardBatch).compactMap { index in
      try? PromptTokens.encode(prompts.prompt(index: index, split: .train), tokenizer, configuration).count
    }
    return lengths.max() ?? configuration.data.longestPrompt
  }
}
