import Configuration
import Foundation
import LowBit
import Models
import Objectives
import Testing

/// The error message of a configuration; nil if it is valid.
private func message(_ yaml: String, overrides: [String] = []) -> String? {
  do throws(ConfigurationError) {
    _ = try RunConfiguration.parse(yaml: yaml, file: "x.yaml", overrides: overrides)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct ConfigurationParsingTests {
  @Test("A file that sets nothing gives the documented defaults")
  func defaults() throws {
    let configuration = try RunConfiguration.parse(yaml: "rl:\n", file: "x.yaml")
    #expect(configuration == RunConfiguration())
    #expect(configuration.rl.learningRate == 3e-4)
    #expect(configuration.rl.batchSize == 4)
    #expect(configuration.rl.numTrajectories == 4)
    #expect(configuration.rl.maxGradNorm == 1)
    #expect(configuration.rl.numEpochs == 1000)
    #expect(configuration.rl.warmupSteps == 1000)
    #expect(configuration.rl.useMixedPrecision)
    #expect(configuration.objective == ObjectiveConfiguration())
    #expect(configuration.model == ModelConfiguration())
    #expect(configuration.formats == PrecisionConfiguration())
  }

  @Test("The YAML of a configuration parses to an equal configuration")
  func roundTrip() throws {
    var configuration = RunConfiguration()
    configuration.model.normEps = 1.2345678e-6
    configuration.rl.learningRate = 0.1 + 0.2
    configuration.rl.seed = UInt64.max
    configuration.rl.objective.clipEpsilonHigh = 0.28
    configuration.rl.objective.aggregation = .drGRPO
    configuration.pretrain.auxLossCoef = 0.25
    configuration.data.task = TaskConfiguration()
    configuration.data.text = "a \"quoted\"\tpath: {with} # signs, ümläut \u{2028} and \u{7}"
    configuration.logging.directory = "null"
    var reward = RewardConfiguration()
    reward.name = .format
    reward.pattern = "^\\s*[0-9]+'?$"
    configuration.data.rewards = [RewardConfiguration(), reward]
    configuration.checkpoint.weights = "1e5"
    #expect(try RunConfiguration.parse(yaml: configuration.yaml(), file: "config.yaml") == configuration)
    #expect(try RunConfiguration.parse(yaml: RunConfiguration().yaml(), file: "config.yaml") == RunConfiguration())
  }

  @Test(
    "Hidden widths default to multiples of dim, both clip bounds to clip_epsilon, and lengths to values from max_seq_len"
  )
  func derivedDefaults() throws {
    let yaml = """
      model: {dim: 64, overseer_dim: 96, max_seq_len: 64, vocab_size: 259}
      rl: {clip_epsilon: 0.1, clip_epsilon_high: 0.3, max_trajectory_len: 24, aux_loss_coef: 0.5}
      data: {tokenizer: byte}
      """
    let configuration = try RunConfiguration.parse(yaml: yaml, file: "x.yaml")
    #expect(configuration.model.expertDim == 128)
    #expect(configuration.model.overseerDim == 96)
    #expect(configuration.model.diffusionDim == 256)
    #expect(configuration.objective.clipEpsilonLow == 0.1)
    #expect(configuration.objective.clipEpsilonHigh == 0.3)
    #expect(configuration.data.maxPromptLen == 40)
    #expect(configuration.pretrain.sequenceLength == 64)
    #expect(configuration.pretrain.auxLossCoef == 0.5)
  }

  @Test("Overrides replace values of the file in order, including within groups and in absent sections")
  func overrides() throws {
    let configuration = try RunConfiguration.parse(
      yaml: "rl: {batch_size: 8}\ndata: {task: {name: addition, digits: 3}}", file: "x.yaml",
      overrides: [
        "rl.batch_size=16", "rl.batch_size=32", "data.task.digits=4", "debug.assert_exact=true",
        "data.rewards=[{name: exact_match, weight: 2}]", "data.text=a=b.txt", "checkpoint.weights=",
      ])
    #expect(configuration.rl.batchSize == 32)
    #expect(configuration.data.task?.digits == 4)
    #expect(configuration.debug.assertExact)
    #expect(configuration.data.rewards.map(\.weight) == [2])
    #expect(configuration.data.text == "a=b.txt")
    #expect(configuration.checkpoint.weights == nil)
  }

  @Test(
    "An invalid file gives a one-line error with file, line and remedy",
    arguments: [
      ("rl:\n  batch_sise: 4\n", "x.yaml:2: unknown key 'rl.batch_sise'; did you mean 'rl.batch_size'?"),
      ("rl:\n  dim: 4\n", "x.yaml:2: unknown key 'rl.dim'; did you mean 'model.dim'?"),
      ("modle:\n  dim: 4\n", "x.yaml:1: unknown section 'modle'; did you mean 'model'?"),
      ("dim: 4\n", "x.yaml:1: key 'dim' belongs in section 'model'; move it there"),
      ("rl:\n  batch_size: four\n", "x.yaml:2: rl.batch_size must be a whole number, got 'four'"),
      ("rl:\n  batch_size: 4.5\n", "x.yaml:2: rl.batch_size must be a whole number, got '4.5'"),
      ("rl:\n  batch_size: '4'\n", "x.yaml:2: rl.batch_size must be a whole number, got the quoted text '4'"),
      ("rl:\n  batch_size: [4]\n", "x.yaml:2: rl.batch_size must be a whole number, got a list"),
      ("rl:\n  batch_size:\n", "x.yaml:2: rl.batch_size must be a whole number, got nothing"),
      ("rl:\n  batch_size: 0\n", "x.yaml:2: rl.batch_size must be a whole number of at least 1, got '0'"),
      (
        "rl:\n  batch_size: 99999999999999999999\n",
        "x.yaml:2: rl.batch_size must be a whole number, got '99999999999999999999'"
      ),
      ("rl:\n  learning_rate: -1\n", "x.yaml:2: rl.learning_rate must be a number above 0, got '-1'"),
      ("rl:\n  learning_rate: nan\n", "x.yaml:2: rl.learning_rate must be a number, got 'nan'"),
      ("rl:\n  learning_rate: .inf\n", "x.yaml:2: rl.learning_rate must be a number, got '.inf'"),
      ("rl:\n  learning_rate: 1e999\n", "x.yaml:2: rl.learning_rate must be a number above 0, got '1e999'"),
      ("rl:\n  seed: -1\n", "x.yaml:2: rl.seed must be a whole number from 0 to 18446744073709551615, got '-1'"),
      ("model:\n  use_bitnet: yes\n", "x.yaml:2: model.use_bitnet must be true or false, got 'yes'"),
      (
        "precision:\n  head: int5\n",
        "x.yaml:2: precision.head must be one of fp32, fp16, bf16, ternary, int4, int8, got 'int5'"
      ),
      ("optimizer:\n  state: int4\n", "x.yaml:2: optimizer.state must be one of fp32, int8, got 'int4'"),
      ("rl: 4\n", "x.yaml:1: section 'rl' must contain keys, got '4'"),
      ("- rl\n", "x.yaml:1: must contain sections such as 'model:' and 'rl:', got a list"),
      ("[a, b]: 4\n", "x.yaml:1: a key must be a word, not a list or a group of keys"),
      ("rl:\n  seed: 1\n  seed: 2\n", "x.yaml:2: key 'seed' occurs more than once in one group; keep one"),
      ("rl: {seed: 1}\nrl: {seed: 1}\n", "x.yaml:1: key 'rl' occurs more than once in one group; keep one"),
      ("", "x.yaml: is empty; start from configs/quickstart.yaml"),
      ("# nothing\n", "x.yaml: is empty; start from configs/quickstart.yaml"),
      ("data:\n  task: addition\n", "x.yaml:2: data.task must be a group of keys, got 'addition'"),
      ("data:\n  task: {digits: 2}\n", "x.yaml:2: data.task has no key 'name'; add it"),
      (
        "data:\n  task:\n    name: addition\n    digit: 2\n",
        "x.yaml:4: unknown key 'digit' in data.task; did you mean 'digits'?"
      ),
      (
        "data:\n  rewards:\n  - name: format\n    weight: big\n",
        "x.yaml:4: data.rewards[0].weight must be a number, got 'big'"
      ),
      ("data:\n  rewards: []\n", "x.yaml:2: data.rewards must contain at least one reward"),
      (
        "data:\n  rewards: [{name: command}]\n",
        "x.yaml:2: data.rewards [0] 'command' needs a command: a list of program and arguments"
      ),
      (
        "data:\n  rewards: [{name: length, length: 3, command: [x]}]\n",
        "x.yaml:2: data.rewards [0] 'length' takes no command; remove name or command"
      ),
      ("data:\n  rewards: [{weight: 2}]\n", "x.yaml:2: data.rewards[0] has no key 'name'; add it"),
      ("data:\n  rewards: [{command: x}]\n", "x.yaml:2: data.rewards[0].command must be a list of texts, got 'x'"),
      (
        "data:\n  rewards: [{name: format}]\n",
        "x.yaml:2: data.rewards [0] 'format' needs a pattern (regular expression)"
      ),
      (
        "data:\n  task: {name: copy}\n  prompts: a\n",
        "x.yaml:3: data.prompts cannot be combined with data.task; keep one of them"
      ),
    ])
  func faults(yaml: String, expected: String) {
    #expect(message(yaml) == expected)
  }

  @Test(
    "An invalid combination gives an error with key, line and rule",
    arguments: [
      ("model:\n  num_heads: 7\n", "x.yaml:2: model.num_heads must divide dim: 512 is not a multiple of 7"),
      (
        "model:\n  dim: 24\n  int4_group: 8\n",
        "x.yaml:1: model.num_heads must leave an even head size for the rotary embedding: dim 24 / num_heads 8 = 3"
      ),
      ("model:\n  mini_moe_top_k: 33\n", "x.yaml:2: model.mini_moe_top_k must be at most num_mini_moes (32), got 33"),
      ("model:\n  expert_top_k: 9\n", "x.yaml:2: model.expert_top_k must be at most num_experts_per_mini (8), got 9"),
      (
        "model:\n  micro_top_k: 326\n", "x.yaml:2: model.micro_top_k must be at most num_micros_per_mini (325), got 326"
      ),
      (
        "model:\n  diffusion_inference_steps: 11\n",
        "x.yaml:2: model.diffusion_inference_steps must be at most diffusion_steps (10), got 11"
      ),
      (
        "model:\n  expert_dim: 100\n",
        "x.yaml:2: model.expert_dim must be a multiple of int4_group (64) or at most that, for int4 rows, got 100"
      ),
      ("model:\n  dim: 1000000000000\n", "x.yaml:2: model.dim must be between 4 and 131072, got 1000000000000"),
      (
        "parallel:\n  expert: 3\n",
        "x.yaml:2: parallel.expert must divide model.num_mini_moes: 32 is not a multiple of 3; set it to 1, 2, 4, 8, 16 or 32"
      ),
      (
        "rl:\n  max_trajectory_len: 2048\n",
        "x.yaml:2: rl.max_trajectory_len must be below model.max_seq_len (2048), got 2048"
      ),
      (
        "rl:\n  accumulation_steps: 17\n",
        "x.yaml:2: rl.accumulation_steps must be at most the trajectories of a step "
          + "(rl.batch_size · rl.num_trajectories = 16), got 17"
      ),
      (
        "model:\n  vocab_size: 259\n",
        "x.yaml:2: model.vocab_size must be at least 50257 for the tokenizer 'gpt2', got 259; "
          + "raise it or choose another data.tokenizer"
      ),
      (
        "data:\n  max_prompt_len: 2000\n",
        "x.yaml:2: data.max_prompt_len must leave room for rl.max_trajectory_len (128) in model.max_seq_len (2048): "
          + "at most 1920, got 2000"
      ),
    ])
  func combinations(yaml: String, expected: String) {
    #expect(message(yaml) == expected)
  }

  @Test(
    "The error of an invalid override quotes the override",
    arguments: [
      ("rl.batch_size=four", "--set rl.batch_size=four: rl.batch_size must be a whole number, got 'four'"),
      (
        "rl.batch_sice=4", "--set rl.batch_sice=4: unknown key 'rl.batch_sice'; did you mean 'rl.batch_size'?"
      ),
      ("4=4", "--set 4=4: must have the form section.key=value, for example rl.batch_size=8"),
      ("rl.batch_size", "--set rl.batch_size: must have the form section.key=value, for example rl.batch_size=8"),
      ("rl..x=1", "--set rl..x=1: must have the form section.key=value, for example rl.batch_size=8"),
      ("rl.seed.x=1", "--set rl.seed.x=1: 'x' cannot be set inside '1'; set the whole value instead"),
      ("rl.seed=[1", "--set rl.seed=[1: is not valid YAML: did not find expected ',' or ']'"),
    ])
  func overrideFaults(override: String, expected: String) {
    #expect(message("rl: {seed: 1}", overrides: [override]) == expected)
  }

  @Test("Malformed or hostile text gives a one-line error")
  func hostileText() {
    let bomb = (1...30).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]" }.joined(separator: "\n")
    let texts = [
      "rl: [", "rl: {", "\t", "rl:\n\tseed: 1", "a: b: c", "%YAML 9.9\n---\nrl: 1", "---\na: 1\n---\nb: 2", "&a [*a]",
      "rl: &a {seed: *a}", "*x", "\u{0}", "rl: \u{1}", "!!binary x", "? ?", "'", "\"\\x", "rl: !<tag> {}",
      "<<: {rl: 1}",
      String(repeating: "[", count: 5000), String(repeating: "{a: ", count: 5000), "a0: &a0 1\n" + bomb, "\u{FEFF}",
      String(repeating: "x", count: 100_000), "rl:\n  " + String(repeating: "k", count: 2000) + ": 1", "- - - -", ":",
      "~",
    ]
    for text in texts {
      let line = message(text)
      #expect(line?.contains("\n") != true, "\(text.prefix(40))")
      #expect((line?.count ?? 0) < 400, "\(text.prefix(40))")
      if text != "rl: !<tag> {}" {
        #expect(line?.hasPrefix("x.yaml") == true, "\(text.prefix(40)): \(line ?? "accepted")")
      }
    }
  }

  @Test("A missing file, a directory, a device and text that is not UTF-8 give an error with path and remedy")
  func unreadableFiles() throws {
    func loadMessage(_ path: String) -> String? {
      do throws(ConfigurationError) {
        _ = try RunConfiguration.load(path: path)
        return nil
      } catch {
        return error.description
      }
    }
    let directory = FileManager.default.temporaryDirectory
    let binary = directory.appendingPathComponent("quillan-\(UUID().uuidString).yaml").path
    defer { try? FileManager.default.removeItem(atPath: binary) }
    try Data([0x72, 0xFF, 0xFE, 0x80]).write(to: URL(fileURLWithPath: binary))
    #expect(
      loadMessage("/nonexistent/x.yaml")
        == "/nonexistent/x.yaml: no such file; give the path of a YAML configuration such as configs/quickstart.yaml")
    #expect(loadMessage("/") == "/: cannot be read; check that it is a file and its permissions")
    #expect(loadMessage("/dev/zero") == "/dev/zero: is larger than 1 MiB; a configuration is a few kilobytes of YAML")
    #expect(loadMessage(binary) == "\(binary): is not UTF-8 text; give a YAML configuration")
  }

  @Test("use_bitnet changes the effective formats, not the configured ones; use_mixed_precision changes neither")
  func formats() throws {
    let configuration = try RunConfiguration.parse(
      yaml: "model: {use_bitnet: false}\nrl: {use_mixed_precision: false}", file: "x.yaml")
    #expect(configuration.precision.attention == .ternary)
    #expect(configuration.formats.attention == .fp32)
    #expect(configuration.formats.diffusion == .fp32)
    #expect(configuration.formats.overseer == .fp16)
    #expect(configuration.formats.head == .bf16)
    #expect(configuration.formats.experts == .int4)
    #expect(configuration.formats.agents == .int8)
  }

  @Test("Settings that are valid but probably a mistake give a warning with a remedy")
  func warnings() throws {
    #expect(RunConfiguration().warnings.count == 2)
    #expect(RunConfiguration().warnings[0].contains("set rl.warmup_steps to 50"))
    let rate = "rl.learning_rate 3e-4 with 16 completions a step is above 1.25e-4"
    #expect(RunConfiguration().warnings[1].hasPrefix(rate))
    let filtered = try RunConfiguration.parse(
      yaml: "rl: {warmup_steps: 50, top_p: 0.9, learning_rate: 1e-5}", file: "x.yaml")
    #expect(filtered.warnings.count == 1)
    #expect(filtered.warnings[0].contains("importance ratio"))
  }

  @Test("A learning rate that small models unlearned at gives a warning, unless something steadies the run")
  func rate() throws {
    func warns(_ rl: String) throws -> Bool {
      try RunConfiguration.parse(yaml: "rl: {warmup_steps: 1, \(rl)}", file: "x.yaml").warnings
        .contains { $0.hasPrefix("rl.learning_rate") }
    }
    #expect(try warns("learning_rate: 5e-4, batch_size: 16, num_trajectories: 8"))
    #expect(try !warns("learning_rate: 1e-3, batch_size: 128, num_trajectories: 8"))
    for steady in ["ema_decay: 0.98", "guard: 0.1", "target_kl: 0.01"] {
      #expect(try !warns("learning_rate: 5e-4, batch_size: 16, num_trajectories: 8, \(steady)"))
    }
  }

  @Test("The reference lists every key of the YAML")
  func reference() {
    let reference = RunConfiguration.reference
    for line in RunConfiguration().yaml().split(separator: "\n") where line.hasPrefix("  ") {
      let key = line.dropFirst(2).prefix { $0 != ":" }
      #expect(reference.contains("| `\(key)` |"), "\(key)")
    }
  }
}
