import Formats
import Foundation
import MPI
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

/// The replay of a recorded step in one process equals the original step of all ranks: `mpirun -n 4 <test bundle> …
/// --filter ReplayTests`.
@Suite(.serialized) struct ReplayTests {
  private func tiny(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    try TinyRun {
      $0.model.numMiniMoes = 4
      // A reward that differs between random completions.
      $0.data.rewards[0].name = .format
      $0.data.rewards[0].pattern = "[a-zA-Z]"
      $0.rl.batchSize = 4
      $0.rl.numEpochs = 6
      $0.pretrain.steps = 6
      $0.evaluation.count = 4
      $0.checkpoint.every = 2
      $0.checkpoint.keep = 2
      $0.logging.loadsEvery = 3
      $0.logging.directory = folder.path
      $0.parallel.reproducible = true
      change(&$0)
    }
  }

  private func replay(
    _ path: String, step: Int, tokens: Bool = false, tensors: [String] = [], note: (String) -> Void = { _ in }
  ) throws -> StepReplay.Outcome {
    var options = StepReplay.Options()
    options.tokens = tokens
    options.tensors = tensors
    return try StepReplay(RecordedStep(path, step: step), threads: 1, communicator: Ranks.alone())
      .execute(options, note: note)
  }

  @Test(
    "Every step of a reproducible run on several ranks is replayed in one process with the same bits",
    arguments: [RunPhase.train, .pretrain])
  func sameBits(phase: RunPhase) throws {
    let ranks = try Ranks.together()
    for expert in Ownership.validSizes(ranks: ranks.size, miniMoEs: 4) {
      let folder = try SharedFolder(ranks)
      let run = try tiny(folder) {
        $0.parallel.expert = expert
        $0.optimizer.shard = true
        $0.rl.oldPolicyInterval = 3
        $0.rl.miniBatches = 2
        $0.rl.batchSize = 4
        $0.rl.objective.klCoef = 0.05
      }
      try run.execute(ranks, name: "run", phase: phase)
      defer { _ = try? ranks.barrier() }
      guard ranks.rank == 0 else { continue }
      // Only the checkpoints of steps 4 and 6 remain.
      for (step, start) in [(1, 0), (4, 0), (5, 4), (6, 4)] {
        let outcome = try replay("\(folder.path)/run", step: step)
        #expect(outcome.comparison.isSame, "parallel.expert \(expert), step \(step): \(outcome.comparison)")
        #expect(outcome.comparison.compared > 10)
        #expect(outcome.start == start)
        #expect(outcome.checkpoint.map { $0.hasSuffix("step-00000\(start)") } == (start == 0 ? nil : true))
        #expect(outcome.failure == nil)
      }
    }
  }

  @Test("Recorded metrics of a different step are listed with their differences")
  func differing() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder).execute(ranks, name: "run")
    let path = "\(folder.path)/run/metrics.jsonl"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let norm = try #require(try figure("grad_norm", step: 5, text))
    try text.replacing("\"grad_norm\":\(norm)", with: "\"grad_norm\":\(norm.nextUp)")
      .write(toFile: path, atomically: true, encoding: .utf8)
    let comparison = try replay("\(folder.path)/run", step: 5).comparison
    #expect(!comparison.isSame)
    #expect(comparison.differences.map(\.name) == ["grad_norm"])
    #expect(comparison.differences.first?.replayed == "\(norm)")
    #expect((comparison.largest?.relative ?? 1) < 1e-15)
    // A step without a metrics line cannot be compared.
    let lines = text.split(separator: "\n").filter { !$0.contains("\"step\":4,") }
    try (lines.joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try replay("\(folder.path)/run", step: 4).comparison.compared == 0)
  }

  private func figure(_ name: String, step: Int, _ text: String) throws -> Double? {
    try line(step, with: name, text)?[name]?.numberValue
  }

  private func line(_ step: Int, with name: String, _ text: String) throws -> [String: JSONValue]? {
    try text.split(separator: "\n").compactMap { try JSONValue.parse($0.utf8).objectValue }
      .first { $0["step"]?.integerValue == step && $0[name] != nil }
  }

  @Test("Tokens and tensors match the step: ratios are 1, routing adds up to the loads, and gradients to the norm")
  func inspection() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder) { $0.logging.loadsEvery = 1 }.execute(ranks, name: "run")
    let outcome = try replay(
      "\(folder.path)/run", step: 3, tokens: true,
      tensors: ["gradients.*", "activations.*.mini_moe_index", "weights.embedding.?eight"])
    #expect(outcome.comparison.isSame)
    let tokens = outcome.tokens
    #expect(!tokens.isEmpty)
    #expect(Set(tokens.compactMap(\.group)).count == 4)
    for token in tokens {
      #expect(token.oldLogProbability?.bitPattern == token.logProbability.bitPattern)
      #expect(token.ratio == 1)
      #expect(token.entropy > 0)
      #expect(token.miniMoEs.map(\.count) == [2, 2])
    }
    // Advantages are standardised: their mean over the trajectories of a group is 0, but not all are 0.
    #expect(tokens.contains { ($0.advantage ?? 0) > 0 } && tokens.contains { ($0.advantage ?? 0) < 0 })
    #expect(TokenTable(tokens).text.split(separator: "\n").count == tokens.count + 2)
    let parsed = try TokenTable(tokens).jsonLines.split(separator: "\n").map { try JSONValue.parse($0.utf8) }
    #expect(parsed.count == tokens.count + 1)
    #expect(parsed[1].objectValue?["logp"]?.numberValue == Double(tokens[0].logProbability))

    var loads = [[Int]](repeating: [0, 0, 0, 0], count: 2)
    var squares = 0.0
    for tensor in outcome.tensors {
      var bytes: [UInt8] = []
      try tensor.provide { bytes += $0 }
      if tensor.name.hasPrefix("gradients.") {
        for value in values(bytes, of: Float.self) { squares += Double(value) * Double(value) }
      } else if tensor.name.hasPrefix("activations.") {
        let layer = try #require(tensor.name.contains("layers.0.") ? 0 : 1)
        for choice in values(bytes, of: Int32.self) { loads[layer][Int(choice)] += 1 }
      } else {
        #expect(tensor.name == "weights.embedding.weight" && tensor.shape == [259, 16])
      }
    }
    let text = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8)
    let norm = try #require(try figure("grad_norm", step: 3, text))
    #expect(abs(squares.squareRoot() - norm) < 1e-9 * norm)
    let recorded = try line(3, with: "loads", text)?["loads"]?.objectValue?["mini_moes"]?.listValue?.map {
      ($0.listValue ?? []).compactMap(\.integerValue)
    }
    #expect(recorded == loads)
    let error = #expect(throws: TrainingError.self) {
      try replay("\(folder.path)/run", step: 3, tensors: ["gradient.*"])
    }
    #expect(error?.kind == .configuration && error?.description.contains("gradient.*") == true)
  }

  private func values<Element: BitwiseCopyable>(_ bytes: [UInt8], of: Element.Type) -> [Element] {
    bytes.withUnsafeBytes { Array($0.bindMemory(to: Element.self)) }
  }

  @Test("A damaged checkpoint is replaced by an older one; a step after the end of the run is rejected")
  func limits() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder) { $0.checkpoint.keep = 9 }.execute(ranks, name: "run")
    let path = "\(folder.path)/run"
    let shard = "\(path)/checkpoints/step-000004/replicated.qck"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: shard))
    var notes: [String] = []
    let outcome = try replay(path, step: 5) { notes.append($0) }
    #expect(outcome.start == 2 && outcome.comparison.isSame)
    #expect(notes.count == 1 && notes[0].contains("step-000004"))
    let never = #expect(throws: TrainingError.self) { try replay(path, step: 8) }
    #expect(never?.kind == .configuration && never?.description.contains("step 8 was never begun") == true)
    // If a run resumed from another run, the steps before its first checkpoint cannot be replayed.
    let text = try String(contentsOfFile: "\(path)/metrics.jsonl", encoding: .utf8)
    let later = text.split(separator: "\n").filter { line in
      !["0}", "0,", "1,", "2,"].contains { line.contains("\"step\":\($0)") }
    }
    try (later.joined(separator: "\n") + "\n").write(
      toFile: "\(path)/metrics.jsonl", atomically: true, encoding: .utf8)
    try FileManager.default.removeItem(atPath: "\(path)/checkpoints/step-000002")
    let lost = #expect(throws: TrainingError.self) { try replay(path, step: 3) }
    #expect(lost?.description.contains("--checkpoint") == true)
  }

  @Test("A replay uses the configuration of the step, even if the run later resumed with another")
  func changed() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder) {
      $0.rl.numEpochs = 4
      $0.checkpoint.keep = 9
    }.execute(ranks, name: "run")
    // The learning rate schedule ends at `rl.num_epochs`, so all metrics depend on it.
    try tiny(folder) {
      $0.rl.numEpochs = 6
      $0.rl.learningRate = 1e-3
      $0.checkpoint.keep = 9
    }.execute(ranks, name: "run", resume: .auto)
    for step in 1...6 { #expect(try replay("\(folder.path)/run", step: step).comparison.isSame, "step \(step)") }
  }

  @Test(
    "A step that ended the run ends its replay with the same message and can be inspected if it sampled tokens",
    arguments: [false, true])
  func failing(draws: Bool) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try tiny(folder) {
      // With `draws`, the gradient of the loss is not finite; otherwise the first update makes the logits non-finite.
      if draws { $0.rl.objective.valueCoef = 1e300 } else { $0.rl.learningRate = 1e30 }
      $0.checkpoint.every = 1
    }
    let error = #expect(throws: TrainingError.self) { try run.execute(ranks, name: "run") }
    let text = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8)
    let last = try (1...6).last { try line($0, with: "learning_rate", text) != nil } ?? 0
    #expect(error?.description.hasPrefix("step \(last + 1): ") == true, "\(error as Any)")
    let outcome = try replay("\(folder.path)/run", step: last + 1, tokens: true, tensors: ["gradients.*"])
    #expect(outcome.failure?.description == error?.description)
    #expect(!outcome.comparison.isSame)
    #expect(outcome.tokens.isEmpty != draws && outcome.tensors.isEmpty != draws)
  }
}
