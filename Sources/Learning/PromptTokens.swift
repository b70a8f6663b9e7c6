import Configuration
import Rollouts

/// Encodes prompts by the template, and truncates or rejects prompts that are too long.
package enum PromptTokens {
  package static func encode(_ prompt: Prompt, _ tokenizer: any Tokenizer, _ configuration: RunConfiguration) throws
    -> [Int32]
  {
    let data = configuration.data
    let place = prompt.source.map { "the source '\($0)': " } ?? "data."
    let tokens: [Int32]
    if let messages = prompt.messages {
      tokens = try Self.tokens(messages, of: prompt, tokenizer)
    } else {
      do throws(PromptTemplateError) {
        let template = if let form = prompt.form { form.template } else { try PromptTemplate(data.template) }
        if let form = tokenizer.chatForm {
          let message = ChatMessage(role: "user", content: try template.text(for: prompt))
          tokens = try form.tokens(of: [message], tokenizer)
        } else {
          tokens = try template.tokens(for: prompt, tokenizer)
        }
      } catch {
        throw TrainingError(
          .data, "\(prompt.origin): \(place)template: \(error.problem); correct the template or the prompts")
      }
    }
    let room = configuration.model.maxSeqLen - configuration.objective.maxTrajectoryLen
    let maximum = prompt.form?.maximumLength ?? data.maxPromptLen
    let limit = min(room, maximum)
    guard !tokens.isEmpty else {
      throw TrainingError(.data, "\(prompt.origin): the prompt is empty; give it at least one character")
    }
    if tokens.count <= limit { return tokens }
    switch data.truncation {
    case .left: return Array(tokens.suffix(limit))
    case .right: return Array(tokens.prefix(limit))
    case .error:
      throw TrainingError(
        .data,
        "\(prompt.origin): the prompt has \(tokens.count) tokens, at most \(limit) fit (model.max_seq_len "
          + "\(configuration.model.maxSeqLen) − rl.max_trajectory_len \(configuration.objective.maxTrajectoryLen), "
          + "\(place)max_prompt_len \(maximum)); shorten it, raise these limits or set "
          + "data.truncation")
    }
  }

  /// The tokens of a conversation in the tokenizer's chat form.
  private static func tokens(_ messages: [ChatMessage], of prompt: Prompt, _ tokenizer: any Tokenizer) throws -> [Int32]
  {
    guard let form = tokenizer.chatForm else {
      throw TrainingError(
        .configuration,
        "\(prompt.origin): the prompt is a list of messages, but no chat form is set; set data.chat, or write it as a text"
      )
    }
    do throws(PromptTemplateError) {
      return try form.tokens(of: messages, tokenizer)
    } catch {
      throw TrainingError(.data, "\(prompt.origin): \(error.problem); correct the messages")
    }
  }
}
