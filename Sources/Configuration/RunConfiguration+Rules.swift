import Errors
import Models
import Rollouts

extension RunConfiguration {
  /// Checks all rules that involve several keys. A loaded configuration has already passed.
  ///
  /// - Throws: `ConfigurationError` located at `file`.
  public func validate(file: String) throws(ConfigurationError) {
    if let issue = firstIssue() {
      throw ConfigurationError(ConfigurationLocation(source: file), "\(issue.key) \(issue.rule)")
    }
  }

  /// The first violated rule that involves several keys; its key is written as `section.key`.
  func firstIssue() -> ConfigurationIssue? {
    do throws(ConfigurationIssue) {
      try model.validate(precision: precision.resolved())
    } catch {
      return ConfigurationIssue(key: "model.\(error.key)", rule: error.rule)
    }
    return lengthIssue() ?? batchIssue() ?? dataIssue()
  }

  private func lengthIssue() -> ConfigurationIssue? {
    let trajectory = objective.maxTrajectoryLen
    if trajectory >= model.maxSeqLen {
      return ConfigurationIssue(
        key: "rl.max_trajectory_len",
        rule: "must be below model.max_seq_len (\(model.maxSeqLen)), got \(trajectory)")
    }
    if data.maxPromptLen > model.maxSeqLen - trajectory {
      return ConfigurationIssue(
        key: "data.max_prompt_len",
        rule: "must leave room for rl.max_trajectory_len (\(trajectory)) in model.max_seq_len (\(model.maxSeqLen)): "
          + "at most \(model.maxSeqLen - trajectory), got \(data.maxPromptLen)")
    }
    if pretrain.sequenceLength > model.maxSeqLen {
      return ConfigurationIssue(
        key: "pretrain.sequence_length",
        rule: "must be at most model.max_seq_len (\(model.maxSeqLen)), got \(pretrain.sequenceLength)")
    }
    if rl.overlongCache > trajectory {
      return ConfigurationIssue(
        key: "rl.overlong_cache",
        rule: "must be at most rl.max_trajectory_len (\(trajectory)), got \(rl.overlongCache)")
    }
    return nil
  }

  private func batchIssue() -> ConfigurationIssue? {
    let (trajectories, overflow) = rl.batchSize.multipliedReportingOverflow(by: rl.numTrajectories)
    if overflow || trajectories > largestConfigurationCount {
      return ConfigurationIssue(
        key: "rl.batch_size", rule: "times rl.num_trajectories is too large; lower one of them")
    }
    if rl.batchSize.multipliedReportingOverflow(by: rl.miniBatches).overflow {
      return ConfigurationIssue(key: "rl.mini_batches", rule: "times rl.batch_size is too large; lower one of them")
    }
    if rl.objective.dualClip > 0, rl.objective.dualClip <= 1 + rl.objective.clipEpsilonHigh {
      return ConfigurationIssue(
        key: "rl.dual_clip",
        rule: "must be 0 or above 1 + rl.clip_epsilon_high (3.0 is usual), got \(rl.objective.dualClip)")
    }
    if rl.accumulationSteps > trajectories {
      return ConfigurationIssue(
        key: "rl.accumulation_steps",
        rule: "must be at most the trajectories of a step (rl.batch_size · rl.num_trajectories = \(trajectories)), "
          + "got \(rl.accumulationSteps)")
    }
    if !model.numMiniMoes.isMultiple(of: parallel.expert) {
      return ConfigurationIssue(
        key: "parallel.expert",
        rule: "must divide model.num_mini_moes: \(model.numMiniMoes) is not a multiple of \(parallel.expert); "
          + "set it to "
          + ParallelConfiguration.choices((1...model.numMiniMoes).filter { model.numMiniMoes.isMultiple(of: $0) }))
    }
    if rl.topK > model.vocabSize {
      return ConfigurationIssue(
        key: "rl.top_k", rule: "must be at most model.vocab_size (\(model.vocabSize)), got \(rl.topK)")
    }
    return nil
  }

  private func dataIssue() -> ConfigurationIssue? {
    if model.vocabSize < data.tokenizer.vocabularySize {
      return ConfigurationIssue(
        key: "model.vocab_size",
        rule: "must be at least \(data.tokenizer.vocabularySize) for the tokenizer '\(data.tokenizer.rawValue)', "
          + "got \(model.vocabSize); raise it or choose another data.tokenizer")
    }
    if (data.tokenizer == .file) != (data.tokenizerFile != nil) {
      return ConfigurationIssue(
        key: "data.tokenizer_file", rule: "must be set if and only if data.tokenizer is 'file'; set both or neither")
    }
    if data.mergesFile != nil, data.tokenizerFile == nil {
      return ConfigurationIssue(key: "data.merges_file", rule: "needs a vocab.json in data.tokenizer_file")
    }
    do throws(PromptTemplateError) {
      _ = try PromptTemplate(data.template)
    } catch {
      return ConfigurationIssue(key: "data.template", rule: "has \(error.problem)")
    }
    do throws(PromptTemplateError) {
      _ = try data.chat?.chatForm()
    } catch {
      return ConfigurationIssue(key: "data.chat", rule: "is unusable: \(error.problem)")
    }
    if data.task != nil, data.prompts != nil {
      return ConfigurationIssue(key: "data.prompts", rule: "cannot be combined with data.task; keep one of them")
    }
    if data.rewards.isEmpty {
      return ConfigurationIssue(key: "data.rewards", rule: "must contain at least one reward")
    }
    return rewardIssue(data.rewards, key: "data.rewards") ?? sourceIssue()
  }

  /// A learning rate at which a model of a million parameters unlearned in the measurements of <doc:LearningRate>: above
  /// 1e-3 · √(completions of a step/1024), with nothing that steadies the run.
  private var rateWarning: String? {
    guard data.trajectories == nil, rl.emaDecay == 0, rl.targetKL == 0, rl.guardFall == 0 else { return nil }
    let completions = rl.batchSize * rl.numTrajectories
    let bound = 1e-3 * (Double(completions) / 1024).squareRoot()
    guard rl.learningRate > 1.001 * bound else { return nil }
    return "rl.learning_rate \(FigureText.short(rl.learningRate)) with \(completions) completions a step is above "
      + "\(FigureText.short(bound)), where small models unlearned; lower it, raise rl.batch_size, or set "
      + "rl.ema_decay 0.98 and rl.guard 0.1"
  }

  /// Settings that are valid but probably a mistake, one line each with a remedy.
  public var warnings: [String] {
    var result: [String] = []
    if rl.warmupSteps >= rl.numEpochs {
      result.append(
        "rl.warmup_steps \(rl.warmupSteps) of rl.num_epochs \(rl.numEpochs) never leaves warm-up; "
          + "set rl.warmup_steps to \(rl.numEpochs / 20) (5 %) for a warm-up with cosine decay after it")
    }
    if pretrain.warmupSteps >= pretrain.steps {
      result.append(
        "pretrain.warmup_steps \(pretrain.warmupSteps) of pretrain.steps \(pretrain.steps) never leaves warm-up; "
          + "set pretrain.warmup_steps to \(pretrain.steps / 20) (5 %)")
    }
    if let warning = rateWarning { result.append(warning) }
    if data.trajectories == nil, rl.topK > 0 || rl.topP < 1 {
      result.append(
        "rl.top_k \(rl.topK) and rl.top_p \(rl.topP) filter the sampler but not the importance ratio, which they bias; "
          + "set top_k to 0 and top_p to 1 for exact ratios")
    }
    if rl.objective.ratio == .sequence, rl.objective.aggregation != .sequenceMean {
      result.append(
        "rl.aggregation \(rl.objective.aggregation.rawValue) does not match rl.ratio sequence (GSPO), whose objective is the "
          + "mean over sequences; set rl.aggregation to sequence_mean")
    }
    if rl.objective.ratio == .sequence, rl.objective.clipEpsilonHigh > 0.01 {
      result.append(
        "rl.clip_epsilon_high \(rl.objective.clipEpsilonHigh) rarely clips the ratio of a sequence; GSPO uses "
          + "rl.clip_epsilon_low 3e-4 and rl.clip_epsilon_high 4e-4")
    }
    let coefficient = rl.objective.entropyCoef
    if rl.entropyTarget > 0, !(0...rl.entropyCoefMax).contains(coefficient) {
      result.append(
        "rl.entropy_coef \(coefficient) is outside 0 to rl.entropy_coef_max \(rl.entropyCoefMax), and rl.entropy_target "
          + "moves it into that range after one step; raise rl.entropy_coef_max or change rl.entropy_coef")
    }
    if rl.numTrajectories == 1, data.trajectories == nil {
      result.append(
        "rl.num_trajectories 1 makes every advantage 0, since a group is compared with itself; set at least 2")
    }
    return result
  }
}
