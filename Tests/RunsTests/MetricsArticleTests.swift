import Foundation
import MPI
import Rollouts
import TestSupport
import Testing
import Training
import TrainingSupport

/// The article on metrics, against what runs write and what the sources can write.
@Suite(.serialized) struct MetricsArticleTests {
  private static let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()

  /// The names in the first column of the table of metrics, as regular expressions.
  private static func documented() throws -> [NSRegularExpression] {
    let article = root.appendingPathComponent("Sources/Training/Training.docc/Metrics.md")
    let text = try String(contentsOf: article, encoding: .utf8)
    let table = try #require(
      text.components(separatedBy: "\n## Every metric\n").last?.components(separatedBy: "\n## ")[0])
    return try table.split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { row in
      try row.split(separator: "|")[0].split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map { _, name in
        let escaped = NSRegularExpression.escapedPattern(for: String(name))
          .replacingOccurrences(of: "…", with: ".+")
        return try NSRegularExpression(
          pattern: "^" + escaped.replacingOccurrences(of: "<[a-z]+>", with: "[^/]+", options: .regularExpression) + "$")
      }
    }
  }

  private static func undocumented(_ names: some Sequence<String>) throws -> [String] {
    let documented = try documented()
    #expect(documented.count > 50)
    return names.filter { name in
      !documented.contains { $0.firstMatch(in: name, range: NSRange(name.startIndex..., in: name)) != nil }
    }
  }

  /// The names of all numbers in a run's metrics.
  private func names(_ phase: RunPhase, _ change: (inout RunConfiguration) -> Void) throws -> Set<String> {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try TinyRun {
      $0.rl.numEpochs = 3
      $0.evaluation.count = 4
      $0.evaluation.samples = 2
      $0.evaluation.tasks = [TaskConfiguration()]
      $0.logging.directory = folder.path
      change(&$0)
    }.execute(ranks, name: "run", phase: phase)
    let lines = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    var names: Set<String> = []
    for line in lines.dropFirst() {
      let members = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
      names.formUnion(members.keys)
    }
    return names.subtracting(["step", "prompts", "loads"])
  }

  @Test("Every metric that runs write is in the article")
  func written() throws {
    var reward = RewardConfiguration()
    reward.name = .command
    reward.command = [
      "sh", "-c",
      """
      n=0; while IFS= read -r line; do n=$((n + 1)); id=${line#*\\"id\\":}; id=${id%%[,\\}]*}; id=${id#*\\"id\\":}
        case $((n % 5)) in 0) printf '{"id":%s,"reward":null}\\n' $id ;; 1) printf '{"id":%s}\\n' $id ;;
        *) printf '{"id":%s,"reward":%s,"metrics":{"own":2}}\\n' $id $n ;; esac
      done
      """,
    ]
    var names = try names(.train) {
      $0.data.rewards.append(reward)
      $0.rl.objective.klCoef = 0.1
      $0.rl.targetKL = 0.01
      $0.rl.entropyTarget = 1
      $0.rl.dynamicSampling = true
      $0.logging.normsEvery = 1
    }
    for expected in [
      "rewards/command/own", "rewards/command/applies", "unscored/invalid", "grad_norm/policy", "update/kl",
      "eval/exact_match", "eval/pass@2", "eval/addition/reward",
    ] {
      #expect(names.contains(expected), "\(names.sorted())")
    }
    names.formUnion(try self.names(.pretrain) { $0.pretrain.steps = 2 })
    let undocumented = try Self.undocumented(names)
    #expect(undocumented == [], "add them to Metrics.md")
  }

  @Test("Every metric that the sources name is in the article")
  func named() throws {
    let expression = try NSRegularExpression(pattern: #"(?:metrics|figures|result)\["([^" ]+)"\]"#)
    var names: Set<String> = []
    for folder in ["Learning", "Runs", "Parallelism", "Checks"] {
      let files = FileManager.default.enumerator(
        at: Self.root.appendingPathComponent("Sources/\(folder)"), includingPropertiesForKeys: nil)
      for case let file as URL in files ?? FileManager.DirectoryEnumerator() where file.pathExtension == "swift" {
        let text = try String(contentsOf: file, encoding: .utf8)
        for match in expression.matches(in: text, range: NSRange(text.startIndex..., in: text)) {
          guard let range = Range(match.range(at: 1), in: text) else { continue }
          let name = text[range].replacingOccurrences(of: #"\(prefix)"#, with: "eval")
          // A phase is one of three, which `written` sees.
          guard name != #"time/\(phase)"# else { continue }
          names.insert(name.replacingOccurrences(of: #"\\\([^)]*\)"#, with: "x", options: .regularExpression))
        }
      }
    }
    #expect(names.count > 30)
    let undocumented = try Self.undocumented(names)
    #expect(undocumented == [], "add them to Metrics.md")
  }

  @Test(
    "On policy, the policy loss is 0 although its gradient is not, if advantages are centred and trajectories count equally",
    arguments: 0..<3)
  func policyLoss(mode: Int) throws {
    let trainer = try TinyRun {
      $0.rl.objective.advantage = [.standardized, .groupMean, .leaveOneOut][mode]
      $0.rl.objective.aggregation = .sequenceMean
      $0.rl.objective.entropyCoef = 0
      $0.rl.objective.auxLossCoef = 0
      $0.rl.objective.diffusionLossCoef = 0
      $0.rl.objective.valueCoef = 0
    }.trainer(Ranks.alone())
    for _ in 0..<2 {
      let metrics = try trainer.step().metrics
      #expect(abs(try #require(metrics["loss/policy"])) < 1e-6)
      #expect(try #require(metrics["grad_norm"]) > 1e-3 && metrics["ratio/max"] == 1)
    }
  }
}
