import Configuration
import Rollouts

/// Encodes prompts by the template, and truncates or rejects prompts that are too long.
package enum PromptTokens {
  package static func encode(_ prompt: Prompt, _ tokenizer: any Tokenizer, _ configuration: RunConfiguration) throws
    -> [Int32]
  {
    let tokens: [Int32]
    do throws(PromptTemplateError) {
      let template = try PromptTemplate(configuration.data.template)
      if let form = tokenizer.chatForm {
        let message = ChatMessage(role: "user", content: try template.text(for: prompt))
        tokens = try form.tokens(of: [message], tokenizer)
      } else {
        tokens = try template.tokens(for: prompt, tokenizer)
      }
    } catch {
      throw TrainingError(
        .data, "\(prompt.origin): data.template: \(error.problem); correct the template or the prompts")
    }
    let room = configuration.model.maxSeqLen - configuration.objective.maxTrajectoryLen
    let limit = min(room, configuration.data.maxPromptLen)
    guard !tokens.isEmpty else {
      throw TrainingError(.data, "\(prompt.origin): the prompt is empty; give it at least one character")
    }
    if tokens.count <= limit { return tokens }
    switch configuration.data.truncation {
    case .left: return Array(tokens.suffix(limit))
    case .right: return Array(tokens.prefix(limit))
    case .error:
      throw TrainingError(
        .data,
        "\(prompt.origin): the prompt has \(tokens.count) tokens, at most \(limit) fit (model.max_seq_len "
          + "\(configuration.model.maxSeqLen) − rl.max_trajectory_len \(configuration.objective.maxTrajectoryLen), "
          + "data.max_prompt_len \(configuration.data.maxPromptLen)); shorten it, raise these limits or set "
          + "data.truncation")
    }
  }
}
