import Foundation
import MPI
import Testing
import Training
import TrainingSupport

/// Every configuration key is changed on resume: the change affects the run, or the run does not start and names the
/// key, or the key does not affect numbers by design.
@Suite(.serialized) struct ResumedSettingsTests {
  /// The required effect of a changed key.
  enum Effect {
    /// Metrics, weights or files differ from those without the change.
    case used
    /// The run does not start; the error names the key.
    case refused
    /// Nothing differs: the key sets speed or locations, belongs to another command, or does not apply here.
    case silent
  }

  struct Change {
    let key: String
    let value: String
    let effect: Effect
    /// Settings of the original run.
    let base: [String]

    init(_ key: String, _ value: String, _ effect: Effect, _ base: String...) {
      (self.key, self.value, self.effect, self.base) = (key, value, effect, base)
    }
  }

  /// Keys that determine the tensors.
  private static let model = [
    Change("model.vocab_size", "260", .refused), Change("model.dim", "32", .refused),
    Change("model.num_layers", "1", .refused), Change("model.num_heads", "1", .refused),
    Change("model.num_mini_moes", "4", .refused), Change("model.mini_moe_top_k", "1", .refused),
    Change("model.num_experts_per_mini", "4", .refused), Change("model.expert_top_k", "1", .refused),
    Change("model.expert_dim", "48", .refused), Change("model.max_seq_len", "25", .refused),
    Change("model.overseer_scale", "0.2", .refused), Change("model.latent_scale", "0.3", .refused),
    Change("model.micro_scale", "0.2", .refused), Change("model.num_micros_per_mini", "5", .refused),
    Change("model.micro_top_k", "1", .refused), Change("model.micro_agent_dim", "4", .refused),
    Change("model.overseer_dim", "48", .refused), Change("model.diffusion_dim", "32", .refused),
    Change("model.diffusion_blocks", "2", .refused), Change("model.diffusion_steps", "5", .refused),
    Change("model.diffusion_inference_steps", "1", .refused), Change("model.latent_horizon", "2", .refused),
    Change("model.latent_discount", "0.5", .refused), Change("model.rope_base", "100.0", .refused),
    Change("model.norm_eps", "1e-5", .refused), Change("model.int4_group", "8", .refused),
    Change("model.use_bitnet", "false", .refused), Change("model.use_bit_diffusion", "false", .refused),
    Change("precision.overseer", "fp32", .refused), Change("precision.attention", "fp32", .refused),
    Change("precision.diffusion", "fp32", .refused), Change("precision.experts", "fp32", .refused),
    Change("precision.agents", "fp32", .refused), Change("precision.head", "fp32", .refused),
    Change("precision.bf16_sums", "tiles", .refused),
  ]

  private static let reinforcement = [
    Change("rl.learning_rate", "0.01", .used), Change("rl.batch_size", "6", .refused),
    Change("rl.num_trajectories", "5", .refused), Change("rl.max_trajectory_len", "4", .used),
    Change("rl.clip_epsilon", "0.1", .refused), Change("rl.clip_epsilon_low", "0.0", .used, "rl.ppo_epochs=2"),
    Change("rl.clip_epsilon_high", "0.0", .used, "rl.ppo_epochs=2"), Change("rl.value_coef", "0.1", .used),
    Change("rl.entropy_coef", "0.2", .used), Change("rl.aux_loss_coef", "0.2", .used),
    Change("rl.diffusion_loss_coef", "0.3", .used), Change("rl.kl_coef", "0.1", .refused),
    Change("rl.kl_estimator", "k2", .used, "rl.kl_coef=0.1"), Change("rl.max_grad_norm", "0.01", .used),
    Change("rl.num_epochs", "5", .used), Change("rl.warmup_steps", "3", .used),
    Change("rl.use_mixed_precision", "false", .used), Change("rl.accumulation_steps", "3", .used),
    Change("rl.old_policy_interval", "2", .used), Change("rl.gradient_checkpointing", "true", .silent),
    Change("rl.balance_rate", "0.1", .used), Change("rl.advantage", "group_mean", .used),
    Change("rl.advantage_std", "sample", .used), Change("rl.advantage_epsilon", "0.1", .used),
    Change("rl.aggregation", "token_mean", .used, "rl.batch_size=40"),
    Change("rl.ratio", "sequence", .used, "rl.ppo_epochs=2"), Change("rl.surrogate", "cispo", .used),
    Change("rl.dual_clip", "1.001", .used, "rl.ppo_epochs=2", "rl.clip_epsilon_high=0.0"),
    Change("rl.dynamic_sampling", "true", .used), Change("rl.zero_advantage", "skip", .used),
    Change("rl.demonstrations", "true", .used), Change("rl.target_kl", "1e-9", .used),
    Change("rl.guard", "0.1", .silent), Change("rl.ema_decay", "0.9", .used),
    Change("rl.max_resample_times", "0", .used, "rl.dynamic_sampling=true"),
    Change("rl.ppo_epochs", "2", .used), Change("rl.mini_batches", "2", .refused),
    Change("rl.entropy_target", "1.0", .used), Change("rl.entropy_delta", "0.01", .used, "rl.entropy_target=1.0"),
    Change("rl.entropy_coef_max", "0.0105", .used, "rl.entropy_target=100.0"), Change("rl.temperature", "0.5", .used),
    Change("rl.top_k", "5", .used), Change("rl.top_p", "0.5", .used), Change("rl.overlong_cache", "3", .used),
    Change("rl.overlong_filter", "true", .used), Change("rl.weight_decay", "0.5", .used),
    Change("rl.seed", "9", .refused), Change("rl.stop_at", "9.0", .silent),
  ]

  private static let common = [
    Change("optimizer.state", "int8", .refused), Change("optimizer.shard", "true", .silent),
    Change("optimizer.beta1", "0.5", .used), Change("optimizer.beta2", "0.9", .used),
    Change("optimizer.epsilon", "0.001", .used),
    Change("parallel.threads", "2", .silent),
    Change("parallel.expert", "5", .refused), Change("parallel.reproducible", "true", .used, "pretrain.batch_size=24"),
    Change("parallel.timeout", "77", .silent), Change("data.task", "{name: copy, length: 2}", .refused),
    Change("data.prompts", "prompts.jsonl", .refused),
    Change("data.sources", "[{name: a, task: {name: copy}}]", .refused),
    Change("data.members", "{prompt: question}", .refused), Change("data.shuffle", "false", .refused),
    Change("data.held_out", "0.3", .refused),
    Change("data.tokenizer", "gpt2", .refused), Change("data.tokenizer_file", "x.json", .refused),
    Change("data.merges_file", "x.txt", .refused), Change("data.end_token", "x", .silent),
    Change("data.chat", "{turn: \"{role}{content}<|end|>\"}", .used, "data.truncation=left"),
    Change("data.template", "\"Q{prompt}\"", .used), Change("data.max_prompt_len", "15", .refused),
    Change("data.split_version", "1", .refused),
    Change("data.truncation", "left", .silent), Change("data.rewards", "[{name: length, length: 1}]", .used),
    Change("evaluation.count", "3", .used), Change("evaluation.samples", "2", .used),
    Change("evaluation.temperature", "0.5", .silent),
    Change("evaluation.tasks", "[{name: copy, length: 2}]", .used),
    Change("evaluation.sources", "[{name: x, task: {name: copy, length: 2}}]", .used),
    Change("evaluation.threshold", "2.0", .used),
    Change("evaluation.keep_best", "false", .silent),
    Change("checkpoint.weights", "@weights", .refused), Change("checkpoint.every", "4", .used),
    Change("checkpoint.keep", "1", .used), Change("checkpoint.milestones", "3", .used, "checkpoint.keep=1"),
    Change("checkpoint.copy", "false", .silent), Change("checkpoint.stop", "phase", .silent),
    Change("checkpoint.on_error", "stop", .silent), Change("logging.every", "2", .used),
    Change("logging.loads_every", "1", .used), Change("logging.alarm_patience", "0", .silent),
    Change("logging.level", "error", .silent), Change("logging.command", "[cat]", .silent),
    Change("logging.command_timeout", "5", .silent), Change("debug.skip_nonfinite", "1", .silent),
    Change("debug.checks", "true", .used), Change("debug.hash_every", "1", .silent),
    Change("debug.check_gradients", "[final_norm.weight]", .silent),
  ]

  /// Keys that only `train` reads; `pretrain` has other keys or none for them.
  private static let ofTrain = [
    Change("evaluation.every", "1", .used), Change("logging.samples_every", "1", .used),
    Change("debug.assert_exact", "true", .silent), Change("evaluation.patience", "1", .silent),
    Change("logging.norms_every", "1", .used), Change("data.sampler", "{kind: difficulty}", .refused),
    Change("evaluation.metric", "exact_match", .used),
  ]

  private static let pretraining = [
    Change("pretrain.steps", "5", .used), Change("pretrain.batch_size", "6", .refused),
    Change("pretrain.learning_rate", "0.01", .used), Change("pretrain.warmup_steps", "4", .used),
    Change("pretrain.sequence_length", "20", .silent), Change("pretrain.eval_every", "1", .used),
    Change("pretrain.stop_at_exact_match", "0.9", .silent),
    Change("pretrain.stop_at_reward", "5.0", .silent), Change("pretrain.completion_only_loss", "false", .used),
    Change("pretrain.aux_loss_coef", "0.2", .used),
    Change("pretrain.diffusion_loss_coef", "0.3", .used),
  ]

  /// Keys of the `rl` section that pre-training uses.
  private static let shared = [
    Change("rl.max_grad_norm", "0.01", .used), Change("rl.use_mixed_precision", "false", .used),
    Change("rl.gradient_checkpointing", "true", .silent), Change("rl.balance_rate", "0.1", .used),
    Change("rl.weight_decay", "0.5", .used), Change("rl.seed", "9", .refused),
    Change("rl.clip_epsilon", "0.1", .refused),
    Change("rl.max_trajectory_len", "4", .used), Change("rl.accumulation_steps", "3", .used),
  ]

  private static func silenced(_ changes: [Change]) -> [Change] {
    changes.map { Change($0.key, $0.value, .silent) }
  }

  /// Keys that these tests cannot change: the folder of the runs, and sources that need a file.
  private static let excluded: Set<String> = ["logging.directory", "data.text", "data.trajectories"]

  /// For each set of original settings, a run of two steps whose copies resume to four steps.
  private final class Runs {
    private let folder: SharedFolder
    private let phase: RunPhase
    private let ranks: Communicator
    private var unchangedResults: [[String]: String] = [:]

    init(_ phase: RunPhase) throws {
      ranks = try Ranks.alone()
      folder = try SharedFolder(ranks)
      self.phase = phase
    }

    private func execute(_ name: String, steps: Int, _ overrides: [String], resume: ResumeChoice?) throws
      -> TrainingRun.Outcome
    {
      var run = try TinyRun {
        $0.rl.numEpochs = steps
        $0.pretrain.steps = steps
        $0.pretrain.batchSize = 12
        $0.evaluation.count = 4
        $0.evaluation.every = 0
        $0.pretrain.evalEvery = 0
        $0.checkpoint.every = 1
        $0.checkpoint.keep = 20
        $0.logging.directory = self.folder.path
      }
      let printable = "data.rewards=[{name: format, pattern: \"^[ -~]\"}]"
      run.configuration = try RunConfiguration.parse(
        yaml: run.configuration.yaml(), file: "tiny.yaml", overrides: [printable] + overrides)
      run.threads = max(1, run.configuration.parallel.threads)
      return try run.execute(ranks, name: name, phase: phase, resume: resume)
    }

    /// The results of a run that resumes after step 2 with these settings.
    func outcome(_ base: [String], _ change: [String]) throws -> String {
      let name = "run-\(base.joined().hashValue)"
      let manager = FileManager.default
      if !manager.fileExists(atPath: "\(folder.path)/\(name)") {
        _ = try execute(name, steps: 2, base, resume: nil)
      }
      try manager.copyItem(atPath: "\(folder.path)/\(name)", toPath: "\(folder.path)/part")
      defer { try? manager.removeItem(atPath: "\(folder.path)/part") }
      let original = "\(folder.path)/\(name)/weights.safetensors"
      let settings = base + change.map { $0.replacingOccurrences(of: "@weights", with: original) }
      let examples = try execute("part", steps: 4, settings, resume: .auto).examples.count
      let checkpoints = try manager.contentsOfDirectory(atPath: "\(folder.path)/part/checkpoints").sorted()
      // `Data.hashValue` covers only the first bytes.
      func digest(_ file: String) -> Int { folder.bytes("part/\(file)").map { Array($0).hashValue } ?? 0 }
      let weights = digest("weights.safetensors")
      let isRouted = manager.fileExists(atPath: "\(folder.path)/part/routing.jsonl")
      let texts = ["samples.jsonl", "alarms.jsonl"].map(digest)
      return "\(try folder.metrics("part")) \(weights) \(checkpoints) \(texts) \(isRouted) \(examples)"
    }

    /// The results without a change.
    func unchanged(_ base: [String]) throws -> String {
      if let known = unchangedResults[base] { return known }
      let result = try outcome(base, [])
      unchangedResults[base] = result
      return result
    }
  }

  private func expect(_ changes: [Change], _ phase: RunPhase) throws {
    let keys = Set(changes.map(\.key))
    var section = ""
    for line in RunConfiguration().yaml().split(separator: "\n") {
      let name = String(line.drop { $0 == " " }.prefix { $0 != ":" })
      if line.hasPrefix(" ") {
        #expect(keys.union(Self.excluded).contains("\(section).\(name)"), "\(section).\(name) is not tested")
      } else {
        section = name
      }
    }
    let runs = try Runs(phase)
    for change in changes {
      let setting = "\(change.key)=\(change.value)"
      switch change.effect {
      case .refused:
        var message = ""
        do { _ = try runs.outcome(change.base, [setting]) } catch { message = "\(error)" }
        #expect(message.contains(change.key), "\(phase) \(setting): '\(message)'")
      case .used, .silent:
        let changed = try runs.outcome(change.base, [setting])
        #expect((changed != (try runs.unchanged(change.base))) == (change.effect == .used), "\(phase) \(setting)")
      }
    }
  }

  @Test("A resumed reinforcement learning run uses every changed key or rejects it by name")
  func train() throws {
    try expect(
      Self.model + Self.reinforcement + Self.common + Self.ofTrain + Self.silenced(Self.pretraining), .train)
  }

  @Test("A resumed pre-training run uses every changed key or rejects it by name")
  func pretrain() throws {
    let replaced = Set(Self.shared.map(\.key) + ["rl.dual_clip"])
    let others =
      Self.reinforcement.filter { !replaced.contains($0.key) } + [Change("rl.dual_clip", "3.0", .silent)]
    // Loss weights of `rl` are only defaults for `pretrain`, and config.yaml already contains the loss weights of
    // `pretrain`.
    try expect(
      Self.model + Self.shared + Self.silenced(others) + Self.common + Self.silenced(Self.ofTrain)
        + Self.pretraining, .pretrain)
  }

  @Test("A resumed run keeps the adjusted entropy coefficient, or uses the configured one if that changed")
  func entropy() throws {
    let ranks = try Ranks.alone()
    /// `entropy_coef` of step 3, or without a target, the coefficient that the loss implies.
    func coefficient(_ before: [String], _ after: [String]) throws -> Double {
      let folder = try SharedFolder(ranks)
      func run(_ steps: Int, _ overrides: [String], _ resume: ResumeChoice?) throws {
        var run = try TinyRun {
          $0.rl.numEpochs = steps
          $0.evaluation.count = 1
          $0.evaluation.every = 0
          $0.checkpoint.every = 1
          $0.logging.directory = folder.path
        }
        run.configuration = try RunConfiguration.parse(
          yaml: run.configuration.yaml(), file: "tiny.yaml", overrides: overrides)
        try run.execute(ranks, name: "run", resume: resume)
      }
      try run(2, before, nil)
      try run(3, after, .auto)
      let text = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8)
      let line = try #require(
        text.split(separator: "\n").first { $0.contains("\"step\":3,") || $0.contains("\"step\":3}") })
      let values = try #require(
        JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      func value(_ name: String) -> Double { values[name] as? Double ?? 0 }
      return
        (value("loss/policy") + 0.01 * value("loss/aux") + 0.1 * value("loss/diffusion")
        + 0.5 * value("loss/value") - value("loss")) / value("entropy")
    }
    func expectNear(_ value: Double, _ wanted: Double) {
      #expect(abs(value - wanted) < 1e-6 * max(1, wanted), "\(value)")
    }
    let target = ["rl.entropy_target=100", "rl.entropy_delta=0.01", "rl.entropy_coef_max=0.5"]
    expectNear(try coefficient([], ["rl.entropy_coef=5"]), 5)
    expectNear(try coefficient(target, target), 0.03)
    expectNear(try coefficient(target, []), 0.01)
    expectNear(try coefficient(target, target + ["rl.entropy_coef=0.2"]), 0.2)
    expectNear(try coefficient([], target + ["rl.entropy_coef=0.2"]), 0.2)
    expectNear(try coefficient(target, Array(target.dropLast()) + ["rl.entropy_coef_max=0.02"]), 0.02)
  }

  @Test("A run that reached its exact match stays finished, and continues with another goal")
  func goal() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let prompts = (0..<30).map { "{\"prompt\":\"\($0)=\",\"answer\":\"1\"}\n" }.joined()
    try prompts.write(toFile: "\(folder.path)/prompts.jsonl", atomically: true, encoding: .utf8)
    func run(_ goal: Double, _ resume: ResumeChoice?) throws -> Int {
      try TinyRun {
        $0.data.task = nil
        $0.data.prompts = "\(folder.path)/prompts.jsonl"
        $0.data.heldOut = 0.3
        $0.pretrain.learningRate = 1e-2
        $0.pretrain.steps = 60
        $0.pretrain.evalEvery = 10
        $0.pretrain.stopAtExactMatch = goal
        $0.evaluation.count = 4
        $0.checkpoint.every = 10
        $0.logging.directory = folder.path
      }.execute(ranks, name: "run", phase: .pretrain, resume: resume).steps
    }
    let steps = try run(0.5, nil)
    #expect(steps < 60)
    #expect(try run(0.5, .auto) == steps)
    #expect(try run(0, .auto) == 60)
  }

  @Test("The initial weights of a run stay on record, and other weights are rejected")
  func weights() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    func run(_ steps: Int, _ weights: String?, _ name: String, _ resume: ResumeChoice?) throws {
      try TinyRun {
        $0.rl.numEpochs = steps
        $0.evaluation.count = 1
        $0.checkpoint.every = 1
        $0.checkpoint.weights = weights
        $0.logging.directory = folder.path
      }.execute(ranks, name: name, resume: resume)
    }
    try run(1, nil, "first", nil)
    let first = "\(folder.path)/first/weights.safetensors"
    try run(1, first, "second", nil)
    try run(2, nil, "second", .auto)
    let text = try String(contentsOfFile: "\(folder.path)/second/config.yaml", encoding: .utf8)
    #expect(try RunConfiguration.parse(yaml: text, file: "x").checkpoint.weights == first)
    let error = #expect(throws: TrainingError.self) {
      try run(3, "\(folder.path)/second/weights.safetensors", "second", .auto)
    }
    #expect(error?.description.contains("checkpoint.weights is") == true && error?.kind == .configuration)
  }
}
