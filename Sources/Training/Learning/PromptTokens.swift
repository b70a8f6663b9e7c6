import Rollouts

/// Turns prompts into tokens and refuses what does not fit.
enum PromptTokens {
  static func encode(_ prompt: Prompt, _ tokenizer: any Tokenizer, _ configuration: RunConfiguration) throws
    -> [Int32]
  {
    let tokens = tokenizer.encode(prompt.text)
    let room = configuration.model.maxSeqLen - configuration.objective.maxTrajectoryLen
    let limit = min(room, configuration.data.maxPromptLen)
    guard !tokens.isEmpty else {
      throw TrainingError(.failure, "\(prompt.origin): the prompt is empty; give it at least one character")
    }
    guard tokens.count <= limit else {
      throw TrainingError(
        .failure,
        "\(prompt.origin): the prompt has \(tokens.count) tokens, at most \(limit) fit (model.max_seq_len "
          + "\(configuration.model.maxSeqLen) − rl.max_trajectory_len \(configuration.objective.maxTrajectoryLen), "
          + "data.max_prompt_len \(configuration.data.maxPromptLen)); shorten it or raise these")
    }
    return tokens
  }
}
