import Configuration
import Foundation
import Testing
import TestSupport

@Suite struct IneffectiveKeysTests {
  private func load(_ overrides: [String]) throws -> RunConfiguration {
    try RunConfiguration.parse(
      yaml: "data: {task: {name: addition}, tokenizer: byte}\nmodel: {vocab_size: 259}\n"
        + "rl: {warmup_steps: 50, learning_rate: 1e-5}",
      file: "x.yaml", overrides: overrides)
  }

  @Test(
    "A key that another setting or the data disables is reported with the reason",
    arguments: [
      (
        RunPhase.train, ["rl.dual_clip=3", "rl.surrogate=cispo"],
        "rl.dual_clip 3.0: no effect with rl.surrogate cispo"
      ),
      (.train, ["rl.kl_estimator=k1"], "rl.kl_estimator k1: no effect with rl.kl_coef 0"),
      (.train, ["rl.entropy_delta=0.1"], "no effect with rl.entropy_target 0"),
      (.train, ["rl.advantage=group_mean", "rl.advantage_std=sample"], "rl.advantage_std sample: no effect"),
      (.train, ["rl.advantage=leave_one_out", "rl.advantage_epsilon=0.1"], "rl.advantage_epsilon 0.1: no effect"),
      (.train, ["rl.max_resample_times=9"], "no effect with rl.dynamic_sampling false"),
      (.train, ["parallel.reproducible=true", "rl.accumulation_steps=4"], "rl.accumulation_steps 4: no effect"),
      (
        .pretrain, ["parallel.reproducible=true", "rl.accumulation_steps=4"],
        "rl.accumulation_steps 4: no effect with parallel.reproducible"
      ),
      (.pretrain, ["pretrain.sequence_length=2"], "pretrain.sequence_length 2: no effect on demonstrations"),
      (.pretrain, ["data.text=x.txt", "pretrain.stop_at_exact_match=0.5"], "no effect on text"),
      (
        .train, ["data.trajectories=x", "rl.num_trajectories=7", "rl.top_k=5"],
        "rl.num_trajectories 7, rl.top_k 5: no effect"
      ),
      (.train, ["data.trajectories=x", "rl.top_p=0.5"], "rl.top_p 0.5: no effect with data.trajectories"),
      (.train, ["data.trajectories=x", "rl.overlong_filter=true"], "rl.overlong_filter true: no effect"),
      (.train, ["data.trajectories=x", "rl.overlong_cache=4"], "rl.overlong_cache 4: no effect"),
      (.train, ["data.trajectories=x", "data.rewards=[{name: length, length: 3}]"], "only evaluation uses it"),
      (
        .train, ["data.task=null", "data.trajectories=x", "data.rewards=[{name: length, length: 3}]"],
        "neither sampled nor scored"
      ),
      (.evaluate, ["evaluation.temperature=0.5"], "evaluation.temperature 0.5: no effect with evaluation.samples 0"),
      (.train, ["checkpoint.every=0", "checkpoint.milestones=5"], "no effect with checkpoint.every 0"),
      (.train, ["debug.hash_every=3"], "debug.hash_every 3: no effect without debug.checks"),
      (.train, ["model.use_bit_diffusion=false", "model.latent_horizon=4"], "model.latent_horizon 4: no effect"),
      (.train, ["data.end_token=x"], "data.end_token x: no effect with data.tokenizer byte"),
      (.train, ["data.task={name: copy, digits: 3}"], "data.task.digits 3: no effect with 'copy'"),
      (.train, ["data.task={name: addition, length: 3}"], "data.task.length 3: no effect with 'addition'"),
      (
        .train, ["data.rewards=[{name: exact_match, workers: 3}]"],
        "data.rewards[0].workers 3: no effect with 'exact_match'"
      ),
      (.train, ["data.rewards=[{name: length, length: 3, pattern: a}]"], "data.rewards[0].pattern a: no effect"),
      // A key that the command does not read is reported if it was set on the command line.
      (
        .pretrain, ["rl.learning_rate=0.1"],
        "rl.learning_rate: no effect in pretrain; set pretrain.learning_rate instead"
      ),
      (.train, ["pretrain.steps=7"], "pretrain.steps: no effect in train"),
      (.train, ["data.text=x.txt"], "data.text: no effect in train"),
      (.pretrain, ["evaluation.every=3"], "evaluation.every: no effect in pretrain"),
      (.evaluate, ["rl.temperature=0.5"], "rl.temperature: no effect in evaluate"),
      (.evaluate, ["optimizer.beta1=0.5"], "optimizer.beta1: no effect in evaluate"),
      (.evaluate, ["data.text=x.txt", "evaluation.samples=2"], "evaluation.samples: no effect in evaluate on text"),
    ])
  func named(phase: RunPhase, overrides: [String], words: String) throws {
    let lines = try load(overrides).warnings(for: phase, overrides: overrides)
    #expect(lines.contains { $0.contains(words) }, "\(lines)")
  }

  @Test(
    "A key that has an effect is not reported",
    arguments: [
      (RunPhase.train, ["rl.dual_clip=3"]), (.train, ["rl.kl_estimator=k1", "rl.kl_coef=0.1"]),
      (.train, ["rl.entropy_delta=0.1", "rl.entropy_target=1"]), (.train, ["rl.accumulation_steps=4"]),
      (.train, ["rl.max_resample_times=9", "rl.dynamic_sampling=true"]), (.train, ["rl.overlong_cache=4"]),
      (.pretrain, ["rl.seed=4", "rl.weight_decay=0.1", "rl.aux_loss_coef=0.1"]),
      (.pretrain, ["data.text=x.txt", "pretrain.sequence_length=20"]), (.pretrain, ["pretrain.eval_every=2"]),
      (.evaluate, ["evaluation.samples=2", "evaluation.temperature=0.5", "rl.max_trajectory_len=9"]),
      (.evaluate, ["checkpoint.weights=x", "data.held_out=0.3"]), (.train, ["data.task={name: copy, length: 3}"]),
      (.train, ["data.rewards=[{command: [a], workers: 3}]"]), (.train, ["debug.checks=true", "debug.hash_every=2"]),
      (.train, ["data.trajectories=x", "rl.temperature=0.5", "rl.ppo_epochs=2"]),
    ])
  func silent(phase: RunPhase, overrides: [String]) throws {
    #expect(try load(overrides).warnings(for: phase, overrides: overrides).isEmpty)
  }

  @Test("The complete configuration of a run and the recipes give no warning about ineffective keys")
  func recipes() throws {
    let recipes = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
      "configs")
    let files =
      FileManager.default.enumerator(at: recipes, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
    let yamls = files.filter { $0.pathExtension == "yaml" }
    #expect(yamls.count > 5)
    for file in yamls {
      let configuration = try RunConfiguration.load(path: file.path)
      let whole = try RunConfiguration.parse(yaml: configuration.yaml(), file: "x.yaml")
      for phase in [RunPhase.pretrain, .train] {
        let lines = configuration.warnings(for: phase)
        #expect(
          !lines.contains { $0.contains("no effect") && !$0.contains("accumulation_steps") }, "\(file.path): \(lines)")
        #expect(whole.warnings(for: phase) == lines)
      }
    }
  }

  @Test("clip_epsilon with different clip_epsilon_low and clip_epsilon_high is an error")
  func clips() throws {
    let both = "rl: {clip_epsilon: 0.1, clip_epsilon_low: 0.2, clip_epsilon_high: 0.28}"
    let error = #expect(throws: ConfigurationError.self) { try RunConfiguration.parse(yaml: both, file: "x.yaml") }
    #expect(error?.description.hasPrefix("x.yaml:1: rl.clip_epsilon 0.1 has no effect beside") == true)
    let one = try RunConfiguration.parse(yaml: "rl: {clip_epsilon: 0.1, clip_epsilon_high: 0.28}", file: "x.yaml")
    #expect(one.objective.clipEpsilonLow == 0.1 && one.objective.clipEpsilonHigh == 0.28)
    #expect(try RunConfiguration.parse(yaml: one.yaml(), file: "x.yaml") == one)
  }

  @Test(
    "Temperatures and divisors beyond single precision are rejected",
    arguments: [
      "rl.temperature=1e-39", "rl.temperature=9e-6", "rl.temperature=2e6", "evaluation.temperature=1e-39",
      "evaluation.temperature=0", "optimizer.epsilon=1e-50",
    ])
  func bounds(override: String) throws {
    let error = #expect(throws: ConfigurationError.self) { try load([override]) }
    #expect(error?.description.contains("\(override.prefix { $0 != "=" }) must be") == true)
    _ = try load(["rl.temperature=1e-5", "evaluation.temperature=1e6", "optimizer.epsilon=1e-30"])
  }

  @Test("A wrong aggregation for GSPO and an entropy coefficient out of range give warnings")
  func warnings() throws {
    let gspo = ["rl.ratio=sequence", "rl.clip_epsilon=4e-4"]
    let mismatch = "rl.aggregation group_token_mean does not match rl.ratio sequence (GSPO)"
    #expect(try load(gspo).warnings.contains { $0.hasPrefix(mismatch) })
    #expect(try load(gspo + ["rl.aggregation=sequence_mean"]).warnings.isEmpty)
    let high = ["rl.entropy_coef=0.5", "rl.entropy_target=2"]
    #expect(
      try load(high).warnings.contains { $0.hasPrefix("rl.entropy_coef 0.5 is outside 0 to rl.entropy_coef_max 0.1") })
    #expect(try load(high + ["rl.entropy_coef_max=0.5"]).warnings.isEmpty)
  }
}
