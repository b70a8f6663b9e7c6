import Foundation
import MPI
import Testing
import Training
import TrainingSupport

/// Runs on several sources of prompts.
@Suite(.serialized) struct SourceRunTests {
  /// Writes a file of prompts `NAME0=`, `NAME1=`, … and returns its path.
  private func file(_ folder: SharedFolder, _ name: String, count: Int, _ ranks: Communicator) throws -> String {
    let path = "\(folder.path)/\(name).jsonl"
    let lines = (0..<count).map { "{\"q\": \"\(name)\($0)=\", \"a\": \"\($0)\"}\n" }.joined()
    if ranks.rank == 0 { try lines.write(toFile: path, atomically: true, encoding: .utf8) }
    try ranks.barrier()
    return path
  }

  private static func reward(_ name: RewardConfiguration.Name, pattern: String? = nil) -> RewardConfiguration {
    var reward = RewardConfiguration()
    reward.name = name
    reward.pattern = pattern
    return reward
  }

  private func run(
    _ folder: SharedFolder, _ ranks: Communicator, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> TinyRun {
    var sources = [DataSourceConfiguration(), DataSourceConfiguration()]
    for (index, name) in ["a", "b"].enumerated() {
      sources[index].name = name
      sources[index].prompts = try file(folder, name, count: 30 + 10 * index, ranks)
      sources[index].members = MemberConfiguration()
      sources[index].members?.prompt = "q"
      sources[index].members?.answer = "a"
    }
    sources[0].weight = 3
    sources[1].template = "<{prompt}>"
    sources[1].rewards = [Self.reward(.format, pattern: "[0-9]"), Self.reward(.exactMatch)]
    return try TinyRun {
      $0.data.task = nil
      $0.data.sources = sources
      $0.data.heldOut = 0.2
      $0.rl.numEpochs = 4
      // The learning rate then does not depend on the number of steps.
      $0.rl.warmupSteps = 100
      $0.evaluation.every = 2
      $0.evaluation.count = 5
      $0.evaluation.samples = 2
      $0.checkpoint.every = 1
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  private func numbers(_ folder: SharedFolder, _ run: String) throws -> [[String: Double]] {
    try folder.metrics(run).compactMap { line in
      let object = try? JSONSerialization.jsonObject(with: Data((line.hasSuffix("}") ? line : line + "}").utf8))
      return (object as? [String: Any])?.compactMapValues { $0 as? Double }
    }
  }

  @Test("Every source has its rewards and its metrics, in training and in evaluation")
  func metrics() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try run(folder, ranks) { $0.rl.batchSize = 8 }.execute(ranks, name: "run")
    let lines = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    let values = lines.compactMap {
      (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?.compactMapValues { $0 as? Double }
    }
    let steps = values.filter { $0["loss"] != nil }
    #expect(steps.count == 4)
    for step in steps {
      #expect(step["groups/a"] == 6 && step["groups/b"] == 2)
      let (first, second) = try (#require(step["reward/a"]), #require(step["reward/b"]))
      // 24 and 8 completions: the common reward of a, and of b the sum of its own two.
      #expect(abs((24 * first + 8 * second) / 32 - (step["reward"] ?? -1)) < 1e-9)
      #expect(step["rewards/exact_match"] == 0)
    }
    let evaluation = try #require(values.last { $0["eval/reward"] != nil })
    for name in ["exact_match", "pass_rate", "reward", "mean@2", "pass@1", "pass@2", "mean_length"] {
      let (all, first, second) = try (
        #require(evaluation["eval/\(name)"]), #require(evaluation["eval/a/\(name)"]),
        #require(evaluation["eval/b/\(name)"])
      )
      #expect(abs(all - (first + second) / 2) < 1e-9, "\(name)")
    }
    #expect(evaluation["eval/b/rewards/format"] != nil && evaluation["eval/a/rewards/format"] == nil)
  }

  @Test("A resumed run on several sources continues exactly")
  func resume() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try run(folder, ranks).execute(ranks, name: "whole")
    try run(folder, ranks) { $0.rl.numEpochs = 2 }.execute(ranks, name: "part")
    try run(folder, ranks).execute(ranks, name: "part", resume: .auto)
    #expect(folder.bytes("part/weights.safetensors") == folder.bytes("whole/weights.safetensors"))
    let (part, whole) = (try folder.metrics("part"), try folder.metrics("whole"))
    #expect(Set(whole.filter { $0.contains("\"loss\"") }) == Set(part.filter { $0.contains("\"loss\"") }))
  }

  @Test("A resumed run refuses other sources, shares and contents, and accepts moved files and other rewards")
  func changedSources() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try run(folder, ranks) { $0.rl.numEpochs = 2 }.execute(ranks, name: "run")
    func refusal(_ change: (inout RunConfiguration) -> Void) -> TrainingError? {
      #expect(throws: TrainingError.self) { try run(folder, ranks, change).execute(ranks, name: "run", resume: .auto) }
    }
    #expect(refusal { $0.data.sources[1].weight = 2 }?.description.contains("data.sources: 'b' differs") == true)
    #expect(refusal { $0.data.sources.removeLast() }?.description.contains("data.sources: a source is missing") == true)
    let other = try file(folder, "other", count: 40, ranks)
    let changed = refusal { $0.data.sources[1].prompts = other }
    #expect(changed?.description.contains("data.sources 'b'.prompts") == true && changed?.kind == .configuration)
    let moved = "\(folder.path)/moved.jsonl"
    try FileManager.default.copyItem(atPath: "\(folder.path)/a.jsonl", toPath: moved)
    let outcome = try run(folder, ranks) {
      $0.data.sources[0].prompts = moved
      $0.data.sources[1].rewards.removeLast()
      $0.rl.numEpochs = 3
    }.execute(ranks, name: "run", resume: .auto)
    #expect(outcome.steps == 3)
  }

  @Test("Sources of evaluation need no held-out share, and are the main measure without one")
  func evaluationSources() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let test = try file(folder, "test", count: 3, ranks)
    let outcome = try run(folder, ranks) {
      $0.data.heldOut = 0
      var source = $0.data.sources[0]
      (source.name, source.prompts, source.weight) = ("test", test, 1)
      source.rewards = [Self.reward(.format, pattern: "^")]
      $0.evaluation.sources = [source]
    }.execute(ranks, name: "run")
    #expect(outcome.after["eval/test/pass_rate"] == 1 && outcome.after["eval/pass_rate"] == 1)
    #expect(outcome.after["eval/exact_match"] == 0 && outcome.after["eval/pass@2"] == 1)
    #expect(outcome.after["eval/a/reward"] == nil && outcome.examples.count == 3)
  }

  @Test("Prompts of evaluation that are also trained on are reported")
  func overlap() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try run(folder, ranks) {
      $0.data.heldOut = 0
      var source = $0.data.sources[0]
      (source.name, source.weight) = ("test", 1)
      $0.evaluation.sources = [source]
    }
    let warnings = try run.assembly(ranks).materials(for: .train, weights: nil).warnings
    #expect(warnings.contains { $0.contains("'test': 30 of 30 prompts are also trained on") })
  }

  @Test("A prompt of messages without a chat form is refused before the run")
  func messages() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let path = "\(folder.path)/chat.jsonl"
    try #"{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}"#
      .write(toFile: path, atomically: true, encoding: .utf8)
    let run = try TinyRun {
      $0.data.task = nil
      $0.data.prompts = path
      $0.data.heldOut = 0
    }
    let error = #expect(throws: TrainingError.self) { try run.assembly(ranks).materials(for: .train, weights: nil) }
    #expect(error?.kind == .configuration && error?.description.contains("chat.jsonl:1: the prompt is a list") == true)
  }
}
