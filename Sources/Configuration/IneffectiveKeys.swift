/// Finds settings that have no effect in a command, so that the user can be warned.
///
/// A recipe contains keys for several commands. So a key that the command does not read is reported only if it was set on
/// the command line; a key that another setting disables is reported if its value differs from the default.
package struct IneffectiveKeys {
  private let configuration: RunConfiguration
  private let phase: RunPhase
  private var isOnText: Bool { configuration.data.text != nil && phase != .train }
  private var isRecorded: Bool { configuration.data.trajectories != nil && phase == .train }

  package init(_ configuration: RunConfiguration, phase: RunPhase) {
    self.configuration = configuration
    self.phase = phase
  }

  /// The warnings, one line for each reason.
  ///
  /// - Parameter overridden: the keys that were set on the command line, as `section.key`.
  func warnings(overridden: [String]) -> [String] {
    var lines: [String] = []
    var reported: Set<String> = []
    for rule in rules where rule.isOff {
      let keys = rule.keys.filter(isChanged)
      guard !keys.isEmpty else { continue }
      reported.formUnion(keys)
      let shown = keys.map { $0 + value($0) }.joined(separator: ", ")
      lines.append("\(shown): no effect \(rule.reason)")
    }
    for key in overridden where !isRead(key) && reported.insert(key).inserted {
      let own = "pretrain.\(key.split(separator: ".").last ?? "")"
      let isElsewhere = phase == .pretrain && own != key && Self.field(own) != nil
      lines.append(
        "\(key): no effect in \(phase.rawValue)\(isOnText ? " on text" : "")"
          + (isElsewhere ? "; set \(own) instead" : ""))
    }
    return lines + groupWarnings
  }

  /// Whether the command reads a key.
  package func isRead(_ key: String) -> Bool {
    let section = key.prefix { $0 != "." }
    switch phase {
    case .train:
      if isRecorded, Self.ofSampling.contains(key) || key == "data.sampler" { return false }
      return section != "pretrain" && key != "data.text"
    case .pretrain:
      if isOnText, Self.ofPrompts.contains(key) || Self.ofDemonstrations.contains(key) { return false }
      if !isOnText, key == "pretrain.sequence_length" { return false }
      // The values of `rl` are the defaults of `pretrain`.
      if key == "rl.aux_loss_coef", configuration.pretrain.auxLossCoef != configuration.objective.auxLossCoef {
        return false
      }
      if key == "rl.diffusion_loss_coef",
        configuration.pretrain.diffusionLossCoef != configuration.objective.diffusionLossCoef
      {
        return false
      }
      if section == "rl" { return Self.ofPretraining.contains(key) }
      return ![
        "data.trajectories", "data.sampler", "evaluation.every", "evaluation.patience", "debug.assert_exact",
        "logging.samples_every",
        "logging.norms_every",
      ].contains(key)
    case .evaluate:
      if isOnText, Self.ofPrompts.contains(key) { return false }
      switch section {
      case "rl": return ["rl.seed", "rl.max_trajectory_len"].contains(key)
      case "pretrain": return isOnText && key == "pretrain.sequence_length"
      case "optimizer", "debug": return false
      case "evaluation":
        return ![
          "evaluation.every", "evaluation.keep_best", "evaluation.patience", "evaluation.metric",
        ].contains(key)
      case "checkpoint": return key == "checkpoint.weights"
      case "logging": return key == "logging.level"
      default: return !["data.trajectories", "data.shuffle", "data.sampler"].contains(key)
      }
    }
  }

  /// The keys of `rl` that pre-training reads.
  private static let ofPretraining: Set<String> = [
    "rl.max_grad_norm", "rl.use_mixed_precision", "rl.gradient_checkpointing", "rl.balance_rate", "rl.weight_decay",
    "rl.seed", "rl.aux_loss_coef", "rl.diffusion_loss_coef", "rl.max_trajectory_len", "rl.accumulation_steps",
  ]
  /// Keys that only sampling and scoring read.
  private static let ofSampling = [
    "rl.num_trajectories", "rl.top_k", "rl.top_p", "rl.overlong_cache", "rl.overlong_filter", "rl.demonstrations",
  ]
  /// Keys of pre-training that only apply to demonstrations.
  private static let ofDemonstrations = [
    "pretrain.stop_at_exact_match", "pretrain.stop_at_reward", "pretrain.completion_only_loss",
  ]
  /// Keys that only apply to prompts and their answers.
  private static let ofPrompts = [
    "data.task", "data.prompts", "data.sources", "data.rewards", "data.template", "data.chat",
    "data.max_prompt_len", "data.truncation", "evaluation.samples", "evaluation.temperature", "evaluation.tasks",
    "evaluation.sources", "evaluation.threshold", "rl.max_trajectory_len",
  ]

  /// Keys that have no effect if `isOff`.
  private struct Rule {
    let keys: [String]
    let isOff: Bool
    /// The end of the sentence that begins with "no effect ".
    let reason: String

    init(_ keys: String..., isOff: Bool, _ reason: String) { self.init(keys: keys, isOff: isOff, reason: reason) }

    init(keys: [String], isOff: Bool, reason: String) { (self.keys, self.isOff, self.reason) = (keys, isOff, reason) }
  }

  private var rules: [Rule] {
    let rules = commandRules + modelRules
    return phase == .train ? rules + reinforcementRules : rules
  }

  private var commandRules: [Rule] {
    let (data, evaluation) = (configuration.data, configuration.evaluation)
    return [
      Rule(
        "rl.accumulation_steps", isOff: configuration.parallel.reproducible,
        "with parallel.reproducible, which splits each reduction unit into micro-batches on its own"),
      Rule(
        "pretrain.sequence_length", isOff: phase == .pretrain && !isOnText,
        "on demonstrations, whose length is that of prompt and answer"),
      Rule(
        keys: Self.ofDemonstrations, isOff: phase == .pretrain && isOnText, reason: "on text, which has no answers"),
      Rule("evaluation.temperature", isOff: evaluation.samples == 0, "with evaluation.samples 0: greedy"),
      Rule(
        "data.shuffle", isOff: data.task != nil && !isOnText && !isRecorded,
        "with data.task, whose problems are drawn at random"),
      Rule(
        "data.members",
        isOff: data.prompts == nil && (data.sources + evaluation.sources).allSatisfy { $0.task != nil } && !isOnText,
        "with data.task, which reads no file"),
      Rule("data.end_token", isOff: data.tokenizer != .file, "with data.tokenizer \(data.tokenizer.rawValue)"),
      Rule(
        "checkpoint.milestones", isOff: configuration.checkpoint.every == 0 && phase != .evaluate,
        "with checkpoint.every 0"),
      Rule(
        "logging.command_timeout", isOff: configuration.logging.command.isEmpty && phase != .evaluate,
        "without logging.command"),
      Rule(
        "debug.hash_every", "debug.check_gradients", isOff: !configuration.debug.checks && phase != .evaluate,
        "without debug.checks (--debug)"),
    ]
  }

  private var modelRules: [Rule] {
    let model = configuration.model
    let formats = configuration.formats
    let components = [
      formats.overseer, formats.attention, formats.diffusion, formats.experts, formats.agents, formats.head,
    ]
    return [
      Rule(
        "model.latent_scale", "model.diffusion_dim", "model.diffusion_blocks", "model.diffusion_steps",
        "model.diffusion_inference_steps", "model.latent_horizon", "model.latent_discount", "precision.diffusion",
        "rl.diffusion_loss_coef", "pretrain.diffusion_loss_coef", isOff: !model.useBitDiffusion,
        "with model.use_bit_diffusion false"),
      Rule("model.int4_group", isOff: !components.contains(.int4), "since no component is int4"),
    ]
  }

  private var reinforcementRules: [Rule] {
    let rl = configuration.rl
    let objective = rl.objective
    let hasPrompts = configuration.data.hasPrompts || !configuration.evaluation.sources.isEmpty
    let recorded =
      Self.ofSampling + ["data.sampler"]
      + (hasPrompts ? [] : ["data.rewards", "data.template", "data.max_prompt_len", "data.truncation"])
    return [
      Rule(
        "rl.dual_clip", isOff: objective.surrogate == .cispo, "with rl.surrogate cispo, which bounds the ratio's weight"
      ),
      Rule("rl.kl_estimator", isOff: objective.klCoef == 0, "with rl.kl_coef 0"),
      Rule("rl.entropy_delta", "rl.entropy_coef_max", isOff: rl.entropyTarget == 0, "with rl.entropy_target 0"),
      Rule(
        "rl.advantage_std", "rl.advantage_epsilon",
        isOff: objective.advantage == .groupMean || objective.advantage == .leaveOneOut,
        "with rl.advantage \(objective.advantage.rawValue), which does not divide by a deviation"),
      Rule(
        "rl.guard", "rl.stop_at", "evaluation.patience", isOff: configuration.evaluation.every == 0,
        "with evaluation.every 0, since only evaluations during training are judged"),
      Rule("rl.max_resample_times", isOff: !rl.dynamicSampling, "with rl.dynamic_sampling false"),
      Rule(
        keys: recorded, isOff: isRecorded,
        reason: "with data.trajectories: recorded groups are neither sampled nor scored"),
      Rule(
        "data.rewards", isOff: isRecorded && hasPrompts,
        "on training with data.trajectories, which include rewards; only evaluation uses it"),
    ]
  }

  /// Warnings about keys of a task or reward that do not apply to its kind.
  private var groupWarnings: [String] {
    let (data, evaluation) = (configuration.data, configuration.evaluation)
    var lines: [String] = []
    func look<Group: ConfigurationGroup>(_ group: Group, _ place: String, _ kind: String, without keys: [String]) {
      let standard = Group()
      for field in Group.fields where keys.contains(field.key) && field.encode(group) != field.encode(standard) {
        lines.append("\(place).\(field.key) \(field.encode(group)): no effect with '\(kind)'")
      }
    }
    func look(_ task: TaskConfiguration, _ place: String) {
      let isArithmetic = [.addition, .subtraction, .multiplication].contains(task.name)
      look(
        task, place, task.name.rawValue,
        without: isArithmetic ? ["length"] : ["digits", "minimum_digits", "zero_padded", "answer_reversed"])
    }
    func look(_ rewards: [RewardConfiguration], _ place: String) {
      for (index, reward) in rewards.enumerated() {
        var keys = reward.name == .command ? [] : ["label", "workers", "batch", "timeout", "start_timeout"]
        if reward.name != .format { keys.append("pattern") }
        if reward.name != .length { keys.append("length") }
        look(reward, "\(place)[\(index)]", reward.name.rawValue, without: keys)
      }
    }
    if !isOnText {
      if let task = data.task { look(task, "data.task") }
      for (index, task) in evaluation.tasks.enumerated() { look(task, "evaluation.tasks[\(index)]") }
      look(data.rewards, "data.rewards")
      for (key, source) in configuration.allSources {
        if let task = source.task { look(task, "\(key) '\(source.name)'.task") }
        look(source.rewards, "\(key) '\(source.name)'.rewards")
        if source.members != nil, source.prompts == nil {
          lines.append("\(key) '\(source.name)'.members: no effect with a task, which reads no file")
        }
      }
    }
    if let sampler = data.sampler, sampler.kind == .uniform, phase == .train {
      look(sampler, "data.sampler", sampler.kind.rawValue, without: ["minimum"])
    }
    return lines
  }

  // MARK: Values

  private static func field(_ key: String) -> ConfigurationField<RunConfiguration>? {
    let parts = key.split(separator: ".", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return nil }
    return ConfigurationSection.all.first { $0.name == parts[0] }?.fields.first { $0.key == parts[1] }
  }

  /// The value of a key with a space before it; empty for lists and groups.
  private func value(_ key: String) -> String {
    guard let text = Self.field(key)?.encode(configuration), !text.hasPrefix("["), !text.hasPrefix("{") else {
      return ""
    }
    return " " + ConfigurationText.shortened(text)
  }

  /// Whether the value of a key differs from its default, which may depend on other keys.
  private func isChanged(_ key: String) -> Bool {
    guard let field = Self.field(key) else { preconditionFailure("no key '\(key)'") }
    var standard = RunConfiguration()
    if let derive = field.derive {
      standard = configuration
      derive(&standard)
    }
    return field.encode(standard) != field.encode(configuration)
  }
}

extension RunConfiguration {
  /// Warnings about settings that are probably a mistake for a command: `warnings` about the keys that the command reads,
  /// and keys that have no effect.
  ///
  /// - Parameter overrides: as in `load`.
  public func warnings(for phase: RunPhase, overrides: [String] = []) -> [String] {
    let others = phase == .train ? ["pretrain."] : phase == .pretrain ? ["rl."] : ["pretrain.", "rl."]
    let overridden = overrides.map { text in
      text.prefix { $0 != "=" }.split(separator: ".").prefix(2).joined(separator: ".")
    }
    return warnings.filter { line in !others.contains { line.hasPrefix($0) } }
      + IneffectiveKeys(self, phase: phase).warnings(overridden: overridden)
  }
}
