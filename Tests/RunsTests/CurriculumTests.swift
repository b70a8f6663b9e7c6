import Foundation
import MPI
import Testing
import Training
import TrainingSupport

/// Runs that draw prompts by their difficulty. The MPI suites run them on several ranks.
@Suite(.serialized) struct CurriculumTests {
  private func run(
    _ folder: SharedFolder, _ ranks: Communicator, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> TinyRun {
    let lines = (0..<24).map { "{\"prompt\": \"\($0)=\", \"answer\": \"\($0)\"}\n" }.joined()
    let path = "\(folder.path)/p.jsonl"
    if ranks.rank == 0 { try lines.write(toFile: path, atomically: true, encoding: .utf8) }
    try ranks.barrier()
    return try TinyRun {
      $0.data.task = nil
      $0.data.prompts = path
      $0.data.heldOut = 0
      $0.data.sampler = SamplerConfiguration()
      $0.data.sampler?.kind = .difficulty
      $0.rl.batchSize = 8
      $0.rl.numTrajectories = 4
      $0.rl.numEpochs = 8
      // The learning rate then does not depend on the number of steps.
      $0.rl.warmupSteps = 100
      // Right with a probability of about a half.
      $0.data.rewards[0].pattern = "^[\\x00-\\x7f]{2}"
      $0.parallel.reproducible = true
      $0.checkpoint.every = 1
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  private func prompts(_ folder: SharedFolder, _ run: String) throws -> [[String: Any]] {
    let text = try String(contentsOfFile: "\(folder.path)/\(run)/metrics.jsonl", encoding: .utf8)
    return text.split(separator: "\n").compactMap {
      (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?["prompts"] as? [String: Any]
    }
  }

  @Test("The ledger shows every visit as drawn or skipped, without a gap, and prompts without a signal are skipped")
  func ledger() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try run(folder, ranks).execute(ranks, name: "run")
    let ledgers = try prompts(folder, "run")
    #expect(ledgers.count == 8)
    var next = 0
    var skipped = 0
    for ledger in ledgers {
      let draws = try #require((ledger["draws"] as? [[String: Any]])?.first)
      let drawn = try #require(draws["drawn"] as? [Int])
      #expect(draws["first"] as? Int == next && drawn.count == 8 && drawn == drawn.sorted())
      let count = try #require(draws["count"] as? Int)
      #expect(drawn.allSatisfy { (next..<next + count).contains($0) })
      next += count
      skipped += count - drawn.count
    }
    #expect(skipped > 0)
  }

  @Test("A resumed run draws what an uninterrupted one draws", arguments: [false, true])
  func resume(hasSources: Bool) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    func run(_ steps: Int) throws -> TinyRun {
      try self.run(folder, ranks) {
        $0.rl.numEpochs = steps
        guard hasSources else { return }
        var sources = [DataSourceConfiguration(), DataSourceConfiguration()]
        (sources[0].name, sources[0].prompts, sources[0].weight) = ("file", $0.data.prompts, 3)
        (sources[1].name, sources[1].task) = ("task", TaskConfiguration())
        $0.data.sources = sources
        $0.data.prompts = nil
      }
    }
    try run(8).execute(ranks, name: "whole")
    try run(5).execute(ranks, name: "part")
    try run(8).execute(ranks, name: "part", resume: .auto)
    #expect(folder.bytes("part/weights.safetensors") == folder.bytes("whole/weights.safetensors"))
    let (part, whole) = (try prompts(folder, "part"), try prompts(folder, "whole"))
    #expect(part.map { "\(JSON($0))" } == whole.map { "\(JSON($0))" } && part.count == 8)
  }

  @Test("The draws and the weights do not depend on the number of ranks")
  func ranks() throws {
    let all = try Ranks.together()
    let alone = try Ranks.alone()
    let folder = try SharedFolder(all)
    try run(folder, all) { $0.rl.batchSize = 8 }.execute(all, name: "all")
    if all.rank == 0 {
      try run(folder, alone) { $0.rl.batchSize = 8 }.execute(alone, name: "alone")
      let (some, one) = (try prompts(folder, "all"), try prompts(folder, "alone"))
      #expect(some.map { "\(JSON($0))" } == one.map { "\(JSON($0))" } && some.count == 8)
      #expect(folder.bytes("all/weights.safetensors") == folder.bytes("alone/weights.safetensors"))
    }
    try all.barrier()
  }

  /// JSON with sorted keys.
  private struct JSON: CustomStringConvertible {
    let description: String

    init(_ object: [String: Any]) {
      let data = try? JSONSerialization.data(withJSONObject: object, options: .sortedKeys)
      description = data.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
  }
}
