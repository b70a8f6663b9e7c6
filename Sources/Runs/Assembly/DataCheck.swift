import Configuration
import Learning
import Rollouts

/// Looks at every row of prompts before a run begins, so that no fault of the data is met hours later.
struct DataCheck {
  private let assembly: RunAssembly
  private let phase: RunPhase
  private let terms: [any Reward]

  init(_ assembly: RunAssembly, _ phase: RunPhase, _ rewards: WeightedRewards?) {
    self.assembly = assembly
    self.phase = phase
    // What a program thinks of an answer is not known before it is asked.
    terms = (rewards?.terms.map(\.reward) ?? []).filter { !($0 is CommandReward) }
  }

  /// - Parameter isTrained: whether the training part is drawn from, rather than the held-out part alone.
  /// - Throws: `TrainingError` with the first row that cannot be used, and how many more there are; `TaskError` where there is
  ///   nothing to draw.
  func check(_ source: any PromptSource, isTrained: Bool) throws {
    if isTrained { _ = try source.prompt(index: 0, split: .train) }
    guard let set = source as? PromptSet else {
      guard let task = source as? ProceduralTask else { return }
      if task.heldOutCount == nil { _ = try task.heldOut(count: assembly.configuration.evaluation.count) }
      for prompt in task.largest {
        if let problem = problem(of: prompt, isTrained: isTrained) {
          throw TrainingError(.configuration, "\(assembly.file): \(problem) (its largest problems)")
        }
      }
      return
    }
    var first: (prompt: Prompt, problem: String)?
    var others = 0
    for (prompts, isTrained) in [(isTrained ? set.train : [], true), (set.heldOut, false)] {
      for prompt in prompts {
        guard let problem = problem(of: prompt, isTrained: isTrained) else { continue }
        if let known = first {
          others += 1
          if known.prompt.id < prompt.id { continue }
        }
        first = (prompt, problem)
      }
    }
    guard let first else { return }
    let more = others == 0 ? "" : others == 1 ? " (and 1 other line)" : " (and \(others) other lines)"
    throw TrainingError(.data, first.problem + more)
  }

  /// What is allowed but probably not meant: answers that no completion has room for, and misspelt special tokens.
  func warnings(_ source: any PromptSource) throws -> [String] {
    var warnings = TemplateCheck.warnings(
      try PromptTemplate(assembly.configuration.data.template), assembly.tokenizer)
    let limit = assembly.configuration.objective.maxTrajectoryLen
    guard phase == .train, terms.contains(where: { $0 is ExactMatchReward || $0 is PartialCreditReward }) else {
      return warnings
    }
    let prompts = (source as? PromptSet)?.train ?? (source as? ProceduralTask)?.largest ?? []
    let longer = prompts.count { assembly.tokenizer.encode($0.answer).count >= limit }
    if longer > 0 {
      warnings.append(
        "\(source.name): \(longer) of \(prompts.count) answers have more tokens, with the end token, than "
          + "rl.max_trajectory_len (\(limit)), so that no completion can equal them; raise it or shorten the answers")
    }
    return warnings
  }

  /// What is wrong with a prompt, with its place and the remedy.
  private func problem(of prompt: Prompt, isTrained: Bool) -> String? {
    do {
      if isTrained, phase == .pretrain {
        _ = try DemonstrationSequences.sequence(of: prompt, assembly.tokenizer, assembly.configuration)
        return nil
      }
      _ = try PromptTokens.encode(prompt, assembly.tokenizer, assembly.configuration)
    } catch { return "\(error)" }
    for reward in terms {
      let score = reward.score(prompt: prompt, completion: "", completionTokens: 0, finished: true)
      if !score.isFinite {
        return "\(prompt.origin): the reward \(reward.name) has no value for the answer "
          + "\(ConfigurationText.shortened(prompt.answer).debugDescription); correct the answer, or choose another reward"
      }
    }
    return nil
  }
}
