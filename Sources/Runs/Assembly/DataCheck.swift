import Configuration
import Learning
import Rollouts

/// Checks every prompt before a run begins, so that a fault in the data does not end the run hours later.
struct DataCheck {
  private let assembly: RunAssembly
  private let phase: RunPhase
  private let rewards: WeightedRewards

  init(_ assembly: RunAssembly, _ phase: RunPhase, _ rewards: WeightedRewards) {
    self.assembly = assembly
    self.phase = phase
    self.rewards = rewards
  }

  /// The rewards of a source. The check does not start the programs of rewards.
  private func terms(of source: String?) -> [any Reward] {
    rewards.rewards(of: source).terms.map(\.reward).filter { !($0 is CommandReward) }
  }

  /// - Parameter isTrained: whether the run trains on the training part; the held-out part is always checked.
  /// - Throws: `TrainingError` with the first unusable prompt and the number of others; `TaskError` if a part is
  ///   empty.
  func check(_ source: any PromptSource, isTrained: Bool) throws {
    if isTrained { _ = try source.prompt(index: 0, split: .train) }
    guard let set = source.promptSet else {
      guard let task = source.task else { return }
      if task.heldOutCount == nil { _ = try task.heldOut(count: assembly.configuration.evaluation.count) }
      for prompt in task.largest {
        if let problem = problem(of: marked(prompt, source), isTrained: isTrained) {
          throw TrainingError(.configuration, "\(assembly.file): \(problem) (largest problems of the task)")
        }
      }
      return
    }
    var first: (prompt: Prompt, problem: String)?
    var others = 0
    for (prompts, isTrained) in [(isTrained ? set.train : [], true), (set.heldOut, false)] {
      for prompt in prompts {
        guard let problem = problem(of: marked(prompt, source), isTrained: isTrained) else { continue }
        if let known = first {
          others += 1
          if known.prompt.id < prompt.id { continue }
        }
        first = (prompt, problem)
      }
    }
    guard let first else { return }
    let more = others == 0 ? "" : others == 1 ? " (and 1 other line)" : " (and \(others) other lines)"
    // A conversation without a chat form is the configuration's fault.
    throw TrainingError(first.prompt.messages == nil ? .data : .configuration, first.problem + more)
  }

  private func marked(_ prompt: Prompt, _ source: any PromptSource) -> Prompt {
    (source as? SourcePrompts)?.marked(prompt) ?? prompt
  }

  /// Settings that are allowed but probably not intended: answers that are too long for a completion, and misspelt
  /// special tokens.
  func warnings(_ source: any PromptSource) throws -> [String] {
    var warnings = TemplateCheck.warnings(
      try (source as? SourcePrompts)?.form.template ?? PromptTemplate(assembly.configuration.data.template),
      assembly.tokenizer)
    let limit = assembly.configuration.objective.maxTrajectoryLen
    let terms = terms(of: (source as? SourcePrompts)?.name)
    guard phase == .train, terms.contains(where: { $0 is ExactMatchReward || $0 is PartialCreditReward }) else {
      return warnings
    }
    let prompts = source.promptSet?.train ?? source.task?.largest ?? []
    let longer = prompts.count { assembly.tokenizer.encode($0.answer).count >= limit }
    if longer > 0 {
      warnings.append(
        "\(source.name): \(longer) of \(prompts.count) answers have more tokens, including the end token, than "
          + "rl.max_trajectory_len (\(limit)), so no completion can match them; raise the limit or shorten the answers")
    }
    return warnings
  }

  /// The fault of a prompt, with its file and line and the remedy; nil if the prompt can be used.
  private func problem(of prompt: Prompt, isTrained: Bool) -> String? {
    do {
      if isTrained, phase == .pretrain {
        _ = try DemonstrationSequences.sequence(of: prompt, assembly.tokenizer, assembly.configuration)
        return nil
      }
      _ = try PromptTokens.encode(prompt, assembly.tokenizer, assembly.configuration)
    } catch { return "\(error)" }
    for reward in terms(of: prompt.source) {
      let score = reward.score(prompt: prompt, completion: "", completionTokens: 0, finished: true)
      if !score.isFinite {
        return "\(prompt.origin): the reward \(reward.name) has no value for the answer "
          + "\(ConfigurationText.shortened(prompt.answer).debugDescription); correct the answer, or choose another reward"
      }
    }
    return nil
  }
}
