import Configuration
import Foundation
import Testing

@Suite struct SourceConfigurationTests {
  private func load(_ data: String, _ overrides: [String] = []) throws -> RunConfiguration {
    try RunConfiguration.parse(
      yaml: "data:\n  tokenizer: byte\n  \(data)\nmodel: {vocab_size: 259}", file: "x.yaml", overrides: overrides)
  }

  private static let two =
    "sources: [{name: gsm8k, prompts: a.jsonl, weight: 2, rewards: [{name: numeric_match}], template: \"Q: {prompt}\", "
    + "max_prompt_len: 99, members: {prompt: question}}, {name: add, task: {name: addition, digits: 3}}]"

  @Test("Sources are read, and written so that they are read again")
  func sources() throws {
    let configuration = try load(Self.two)
    let sources = configuration.data.sources
    #expect(sources.map(\.name) == ["gsm8k", "add"] && sources.map(\.weight) == [2, 1])
    #expect(sources[0].maxPromptLen == 99 && sources[0].members?.prompt == "question" && sources[1].task?.digits == 3)
    #expect(configuration.data.members(of: sources[0]).prompt == "question")
    #expect(configuration.data.trainedRewards.map { $0.map(\.name) } == [[.numericMatch], [.exactMatch]])
    #expect(configuration.data.longestPrompt == 1920 && configuration.inputFiles == ["a.jsonl"])
    #expect(try RunConfiguration.parse(yaml: configuration.yaml(), file: "x.yaml") == configuration)
  }

  @Test(
    "A wrong source is refused with its key and name",
    arguments: [
      ("{name: a, prompts: x}], task: {name: addition}", "data.sources cannot be combined with data.task"),
      ("{name: a/b, prompts: x}]", "data.sources has a wrong name"),
      ("{name: wait, prompts: x}]", "'wait' is part of other metrics"),
      ("{name: rewards, prompts: x}]", "'rewards' is part of other metrics"),
      ("{name: a}]", "data.sources 'a' needs either prompts"),
      ("{name: a, prompts: x, task: {name: copy}}]", "data.sources 'a' needs either prompts"),
      ("{prompts: x}]", "data.sources[0] has no key 'name'"),
      ("{name: a, prompt: x}]", "did you mean 'prompts'"),
      ("{name: a, prompts: x}, {name: a, prompts: y}]", "data.sources has two sources 'a'"),
      ("{name: a, prompts: x, weight: 0}]", "data.sources[0].weight must be a number above 0"),
      ("{name: a, prompts: x, weight: 1e-4}, {name: b, prompts: y}]", "gives 'a' less than 1/1000 of the draws"),
      ("{name: a, prompts: x, template: \"{\"}]", "data.sources 'a'.template has"),
      ("{name: a, prompts: x, rewards: [{name: format}]}]", "data.sources 'a'.rewards[0] 'format' needs a pattern"),
      ("{name: a, prompts: x, max_prompt_len: 100000}]", "data.sources 'a'.max_prompt_len must leave room"),
      ("{name: a, prompts: x, held_out: 1}]", "data.sources[0].held_out must be"),
    ])
  func refusals(text: String, message: String) {
    let parts = text.components(separated: "], ")
    let yaml = "sources: [\(parts.0)\(parts.1.map { "]\n  \($0)" } ?? "")"
    let error = #expect(throws: ConfigurationError.self) { try load(yaml) }
    #expect(error?.description.contains(message) == true, "\(String(describing: error))")
  }

  @Test(
    "A source of evaluation is refused if its name or keys do not fit",
    arguments: [
      ("[{name: gsm8k, prompts: x}]", "two evaluations have the name 'gsm8k'"),
      ("[{name: a, prompts: x, weight: 2}]", "'a' is evaluated completely: remove its weight"),
      ("[{name: a, prompts: x, held_out: 0.5}]", "'a' is evaluated completely: remove its held_out"),
    ])
  func evaluationSources(value: String, message: String) {
    let error = #expect(throws: ConfigurationError.self) { try load(Self.two, ["evaluation.sources=\(value)"]) }
    #expect(error?.description.contains(message) == true, "\(String(describing: error))")
  }

  @Test("A source of training without a held-out part may be evaluated on another file under its name")
  func sameName() throws {
    let settings = ["evaluation.sources=[{name: gsm8k, prompts: x}]", "data.held_out=0"]
    #expect(try load(Self.two, settings).evaluation.sources[0].name == "gsm8k")
  }

  @Test(
    "evaluation.metric names a metric that evaluations give, with or without its prefix",
    arguments: [
      "pass_rate", "eval/reward", "exact_match", "mean@6", "pass@4", "pass@6", "gsm8k/pass_rate", "eval/add/pass@1",
      "rewards/numeric_match",
    ])
  func metrics(metric: String) throws {
    #expect(try load(Self.two, ["evaluation.samples=6", "evaluation.metric=\(metric)"]).evaluation.metric == metric)
  }

  @Test("Another metric is refused with the nearest one", arguments: [("pass_rat", "pass_rate"), ("pass@8", "pass@1")])
  func unknownMetric(metric: String, nearest: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try load(Self.two, ["evaluation.samples=6", "evaluation.metric=\(metric)"])
    }
    #expect(error?.description.contains("evaluation.metric '\(metric)' is not measured") == true)
    #expect(error?.description.contains("did you mean '\(nearest)'?") == true, "\(String(describing: error))")
  }

  @Test("Settings of sources without effect are reported")
  func ineffective() throws {
    let settings = [
      "data.sources=[{name: a, task: {name: addition, length: 3}, members: {prompt: q}, rewards: [{name: exact_match, length: 3}]}]",
      "data.sampler={kind: uniform, minimum: 0.5}", "rl.stop_at=0.5", "evaluation.every=0",
    ]
    let lines = try load("held_out: 0.1", settings).warnings(for: .train)
    for text in [
      "data.sources 'a'.task.length 3: no effect", "data.sources 'a'.rewards[0].length 3: no effect",
      "data.sources 'a'.members: no effect", "data.sampler.minimum 0.5: no effect",
      "rl.stop_at 0.5: no effect with evaluation.every 0",
    ] {
      #expect(lines.contains { $0.hasPrefix(text) }, "\(text) in \(lines)")
    }
  }
}

extension String {
  /// The text before and after a separator; nil without one.
  fileprivate func components(separated separator: String) -> (String, String?) {
    guard let range = range(of: separator) else { return (self, nil) }
    return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
  }
}
