import Checkpoints
import Foundation
import MPI
import Rollouts
import Testing
import Training
import TrainingSupport

/// A run resumes with its original data or not at all.
@Suite(.serialized) struct ChangedDataTests {
  private func rows(_ range: Range<Int>, plus: Int = 1) -> String {
    range.map { "{\"prompt\": \"\($0)+\(plus)=\", \"answer\": \"\($0 + plus)\"}\n" }.joined()
  }

  /// Writes a file on rank 0. Collective.
  private func write(_ text: String, _ name: String, _ folder: SharedFolder, _ ranks: Communicator) throws {
    try ranks.barrier()
    if ranks.rank == 0 { try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8) }
    try ranks.barrier()
  }

  private func run(
    _ folder: SharedFolder, steps: Int, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = steps
      $0.pretrain.steps = steps
      $0.evaluation.count = 2
      $0.evaluation.every = 0
      $0.checkpoint.every = 1
      $0.checkpoint.keep = 20
      $0.logging.directory = folder.path
      $0.data.task = nil
      $0.data.prompts = "\(folder.path)/p.jsonl"
      $0.data.heldOut = 0
      change(&$0)
    }
  }

  private func refusal(
    _ run: TinyRun, _ ranks: Communicator, _ phase: RunPhase = .train
  ) -> TrainingError? {
    #expect(throws: TrainingError.self) { try run.execute(ranks, name: "run", phase: phase, resume: .auto) }
  }

  @Test("Changed data, including appended data, is rejected with the key, or accepted if requested")
  func prompts() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try write(rows(0..<20), "p.jsonl", folder, ranks)
    try run(folder, steps: 1).execute(ranks, name: "run")
    for other in [rows(0..<20, plus: 2), rows(0..<21)] {
      try write(other, "p.jsonl", folder, ranks)
      let error = refusal(try run(folder, steps: 2), ranks)
      #expect(error?.kind == .data && error?.isAgreed == true)
      #expect(error?.description.hasPrefix("data.prompts: the content of ") == true)
      #expect(error?.description.contains("--accept-changed-data") == true)
    }
    let outcome = try run(folder, steps: 2).execute(ranks, name: "run", resume: .auto, acceptsChangedData: true)
    #expect(outcome.steps == 2)
    // Accepted data becomes the data of the run.
    #expect(try run(folder, steps: 3).execute(ranks, name: "run", resume: .auto).steps == 3)
    try write(rows(0..<20), "p.jsonl", folder, ranks)
    #expect(refusal(try run(folder, steps: 4), ranks)?.kind == .data)
  }

  @Test("Another file with the same content is accepted; with other content it is rejected as a changed setting")
  func otherNames() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try write(rows(0..<20), "p.jsonl", folder, ranks)
    try write(rows(0..<20), "moved.jsonl", folder, ranks)
    try write(rows(1..<20), "other.jsonl", folder, ranks)
    try run(folder, steps: 1).execute(ranks, name: "run")
    let error = refusal(try run(folder, steps: 2) { $0.data.prompts = "\(folder.path)/other.jsonl" }, ranks)
    #expect(error?.kind == .configuration && error?.description.hasPrefix("data.prompts is ") == true)
    let moved = try run(folder, steps: 2) { $0.data.prompts = "\(folder.path)/moved.jsonl" }
    #expect(try moved.execute(ranks, name: "run", resume: .auto).steps == 2)
  }

  @Test("Text and recorded trajectories are compared with the checkpoint, too", arguments: ["text", "trajectories"])
  func otherInputs(key: String) throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    let phase = key == "text" ? RunPhase.pretrain : .train
    func change(_ configuration: inout RunConfiguration) {
      configuration.data.prompts = nil
      configuration.data.heldOut = 0.1
      configuration.rl.batchSize = ranks.size
      if key == "text" { configuration.data.text = "\(folder.path)/file" }
      if key == "trajectories" { configuration.data.trajectories = "\(folder.path)/file" }
    }
    func content(_ number: Int) -> String {
      if key == "text" { return String(repeating: "line \(number) of a text\n", count: 40) }
      let group =
        "{\"question\": \"\(number)\", \"trajectories\": [{\"reward\": 1, \"steps\": [{\"action\": \"a\"}]}, "
        + "{\"reward\": 0, \"steps\": [{\"action\": \"b\"}]}]}\n"
      return String(repeating: group, count: 8)
    }
    try write(content(1), "file", folder, ranks)
    try run(folder, steps: 1, change).execute(ranks, name: "run", phase: phase)
    try write(content(2), "file", folder, ranks)
    let error = refusal(try run(folder, steps: 2, change), ranks, phase)
    #expect(error?.kind == .data && error?.description.hasPrefix("data.\(key): the content of ") == true)
    try write(content(1), "file", folder, ranks)
    #expect(try run(folder, steps: 2, change).execute(ranks, name: "run", phase: phase, resume: .auto).steps == 2)
  }

  @Test("A run resumes from a checkpoint of version 0.1, which has no digests")
  func withoutDigests() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try write(rows(0..<20), "p.jsonl", folder, ranks)
    try run(folder, steps: 1) { $0.data.splitVersion = .byNumber }.execute(ranks, name: "run")
    let checkpoint = "\(folder.path)/run/checkpoints/step-000001"
    if ranks.rank == 0 {
      var manifest = try CheckpointReader(checkpoint).manifest
      #expect(manifest.counters["input.prompts.bytes"] == rows(0..<20).utf8.count)
      manifest.counters = manifest.counters.filter { !$0.key.hasPrefix("input.") }
      manifest.configuration = manifest.configuration.replacing("  split_version: 1\n", with: "")
      try Data(manifest.text()).write(to: URL(fileURLWithPath: "\(checkpoint)/manifest.json"))
    }
    try write(rows(0..<30), "p.jsonl", folder, ranks)
    // The configuration in the checkpoint lacks `split_version`, so its split is that of version 1.
    let found = try RecordedSplit.version(
      resuming: .auto, run(folder, steps: 2).configuration, name: "run", ranks)
    #expect(found == .byNumber)
    let error = refusal(try run(folder, steps: 2) { $0.data.splitVersion = .byText }, ranks)
    #expect(error?.kind == .configuration && error?.description.hasPrefix("data.split_version is 2") == true)
    let same = try run(folder, steps: 2) { $0.data.splitVersion = found }
    #expect(try same.execute(ranks, name: "run", resume: .auto).steps == 2)
    let weights = try run(folder, steps: 2) { $0.checkpoint.weights = "\(folder.path)/run/weights.safetensors" }
    #expect(try RecordedSplit.version(resuming: nil, weights.configuration, name: "new", ranks) == .byNumber)
    #expect(try RecordedSplit.version(resuming: .auto, weights.configuration, name: "new", ranks) == .byNumber)
    let directory = try run(folder, steps: 2) { $0.checkpoint.weights = "\(folder.path)/run" }
    #expect(try RecordedSplit.version(resuming: nil, directory.configuration, name: "new", ranks) == .byNumber)
    #expect(try RecordedSplit.version(resuming: .auto, run(folder, steps: 2).configuration, name: "new", ranks) == nil)
  }

  @Test("A longer old_policy_interval resumes from a checkpoint with waiting updates and without a stored policy")
  func longerInterval() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try write(rows(0..<20), "p.jsonl", folder, ranks)
    func change(_ interval: Int) -> (inout RunConfiguration) -> Void {
      {
        $0.rl.miniBatches = 2
        $0.rl.oldPolicyInterval = interval
      }
    }
    try run(folder, steps: 3, change(1)).execute(ranks, name: "run")
    #expect(try run(folder, steps: 5, change(2)).execute(ranks, name: "run", resume: .auto).steps == 5)
    #expect(try run(folder, steps: 7, change(2)).execute(ranks, name: "run", resume: .auto).steps == 7)
    #expect(try run(folder, steps: 9, change(1)).execute(ranks, name: "run", resume: .auto).steps == 9)
  }
}
