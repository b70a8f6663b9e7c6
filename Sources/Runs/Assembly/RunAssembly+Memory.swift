import Configuration
import Learning
import Rollouts

extension RunAssembly {
  /// Refuses a run whose prompts or recorded sequences make it too large for this machine. Collective.
  ///
  /// - Throws: `TrainingError`, the same on every rank.
  public func checkMemory(_ phase: RunPhase, _ materials: Materials) throws {
    try RunMemory.check(configuration, promptLength: longestPrompt(materials), phase: phase, communicator)
  }

  /// Tokens of the longest prompt among the first, or what recorded sequences have beyond a completion.
  private func longestPrompt(_ materials: Materials) -> Int {
    if let recorded = materials.recorded {
      let longest = recorded.lazy.flatMap(\.trajectories).flatMap(\.sequences).map(\.tokens.count).max() ?? 1
      return max(1, longest - configuration.objective.maxTrajectoryLen)
    }
    guard let prompts = materials.prompts else { return 1 }
    // What is wrong with a prompt is said where it is used.
    let lengths = (0..<Sampler.standardBatch).compactMap { index in
      try? PromptTokens.encode(prompts.prompt(index: index, split: .train), tokenizer, configuration).count
    }
    return lengths.max() ?? configuration.data.maxPromptLen
  }
}
