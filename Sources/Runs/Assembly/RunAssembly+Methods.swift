import Learning

extension RunAssembly {
  /// A trainer on recorded trajectories if `materials` has them, otherwise on prompts. Collective.
  ///
  /// - Precondition: `materials` are for `.train`.
  func trainer(_ materials: Materials, _ learner: Learner) throws -> Trainer {
    if let recorded = materials.recorded {
      return try Trainer(configuration: configuration, learner: learner, recorded: recorded, tokenizer: tokenizer)
    }
    guard let prompts = materials.prompts, let rewards = materials.rewards else {
      preconditionFailure("reinforcement without prompts or recorded trajectories")
    }
    return try Trainer(
      configuration: configuration, learner: learner, prompts: prompts, tokenizer: tokenizer, rewards: rewards)
  }

  /// A pre-trainer on text or demonstrations.
  ///
  /// - Precondition: `materials` are for `.pretrain`.
  func pretrainer(_ materials: Materials, _ learner: Learner) -> Pretrainer {
    guard let sequences = materials.sequences else { preconditionFailure("pre-training without sequences") }
    return Pretrainer(configuration: configuration, learner: learner, source: sequences)
  }
}
