import Foundation
import MPI
import Rollouts
import Testing
import Training
import TrainingSupport

/// The records that a run writes for people while it runs and at its end.
@Suite(.serialized) struct RunRecordsTests {
  private func tiny(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = 3
      $0.evaluation.count = 4
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  @Test(
    "sessions.jsonl has the end of a finished run with ranks, steps and version, and another session after a resume")
  func sessions() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder) { $0.checkpoint.every = 1 }.execute(ranks, name: "run")
    try tiny(folder) {
      $0.checkpoint.every = 1
      $0.rl.numEpochs = 5
    }.execute(ranks, name: "run", resume: .auto)
    let lines = try String(contentsOfFile: "\(folder.path)/run/sessions.jsonl", encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 5 && lines[0] == "{\"format\":\"quillan-sessions\",\"version\":1}")
    #expect(lines[1].contains("\"phase\":\"train\"") && lines[1].contains("\"program\":\"\(ProgramVersion.text)\""))
    #expect(lines[1].contains("\"ranks\":1,") && lines[1].contains("\"step\":0,\"steps\":3,"))
    #expect(lines[2].contains("\"event\":\"end\",\"outcome\":\"finished\",\"step\":3,"))
    #expect(lines[3].contains("\"step\":3,\"steps\":5,") && lines[4].contains("\"outcome\":\"finished\",\"step\":5,"))
    let html = RunReport([try RunContent(path: "\(folder.path)/run")]).html
    #expect(html.contains(">finished</span> after 5 steps") && html.contains("in 2 sessions"))
  }

  @Test("A run that ends with an error is recorded as failed once, and a finished run stays finished")
  func failure() throws {
    let folder = try SharedFolder(Ranks.alone())
    let configuration = try tiny(folder).configuration
    for (name, isFinished) in [("failed", false), ("finished", true)] {
      let start = RunSession.Start(phase: "train", ranks: 1, threads: 1, parameters: 1, done: 0, total: 3)
      let recorder = try RunRecorder(
        configuration, name: name, title: "train", total: 3, session: start, panels: [("Loss", "", ["loss"])])
      try recorder.record(step: 1, ["loss": 1])
      if isFinished { try recorder.finish(.finished) }
      recorder.abandon()
      recorder.abandon()
      let text = try String(contentsOfFile: "\(folder.path)/\(name)/sessions.jsonl", encoding: .utf8)
      let ends = text.split(separator: "\n").filter { $0.contains("\"end\"") }
      #expect(ends.count == 1 && ends[0].contains("\"outcome\":\"\(name)\",\"step\":1,"), "\(text)")
    }
  }

  @Test(
    "A run whose first evaluation fails leaves no directory, unless something else is in it", arguments: [false, true])
  func failedStart(hasStranger: Bool) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let assembly = try tiny(folder).assembly(ranks)
    let materials = try assembly.materials(for: .train, weights: nil)
    let table = materials.masters.table
    materials.masters.values(table.require("final_norm.weight"))[3] = .infinity
    let path = "\(folder.path)/run"
    let run = TrainingRun(assembly, name: "run") { directory in
      if hasStranger { _ = FileManager.default.createFile(atPath: "\(directory.path)/notes.txt", contents: nil) }
    }
    #expect(throws: (any Error).self) { try run.train(materials) }
    let left = try? FileManager.default.contentsOfDirectory(atPath: path)
    if hasStranger {
      #expect(left?.contains("notes.txt") == true && left?.contains("config.yaml") == true)
      let sessions = try String(contentsOfFile: "\(path)/sessions.jsonl", encoding: .utf8)
      #expect(sessions.contains("\"outcome\":\"failed\""))
    } else {
      #expect(left == nil)
    }
  }

  @Test("The table of samples for TensorBoard has one row per sample and shows Markdown markup verbatim")
  func table() {
    let samples = [
      CompletionSample(
        prompt: "a|b\nc\r\nd", completion: "<b>*x*</b> `y` \\|", answer: nil, reward: 0.5),
      CompletionSample(prompt: "tab\there", completion: "", answer: "1_000", reward: .nan),
    ]
    let lines = RunRecorder.table(samples).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 4)
    for line in lines { #expect(line.filter { $0 == "|" }.count == 5, "\(line)") }
    #expect(
      lines[2].hasPrefix("| a&#124;b⏎c⏎d | &#60;b&#62;&#42;x&#42;&#60;/b&#62; &#96;y&#96; &#92;&#124; |  | 0.5 |"))
    #expect(lines[3].hasSuffix("| 1&#95;000 | unscored |"))
  }

  @Test("A run that spends more time on evaluation than on training warns once, and only if it matters")
  func cost() {
    var cost = EvaluationCost()
    func evaluate(_ seconds: Double) -> String? {
      cost.add(evaluation: seconds, every: (key: "pretrain.eval_every", value: 3), count: 1000)
    }
    cost.add(training: 1)
    #expect(evaluate(3) == nil)
    cost.add(training: 1)
    let line = evaluate(3)
    #expect(line?.contains("6s so far and training 2s") == true, "\(line ?? "nothing")")
    #expect(line?.contains("pretrain.eval_every (3)") == true && line?.contains("evaluation.count (1000)") == true)
    #expect(evaluate(300) == nil)
    var balanced = EvaluationCost()
    balanced.add(training: 100)
    #expect(balanced.add(evaluation: 99, every: (key: "evaluation.every", value: 1), count: 1) == nil)
  }
}

@Suite struct TextEvaluationTests {
  @Test("Bounded windows are equally spaced, each once, and all windows if there are fewer")
  func spread() {
    #expect(Evaluator.spread(3, over: 3) == [0, 1, 2] && Evaluator.spread(9, over: 3) == [0, 1, 2])
    #expect(Evaluator.spread(4, over: 10) == [0, 3, 6, 8])
    for (count, total) in [(1, 7), (5, 7), (6, 7), (1000, 123_457), (3, Int.max)] {
      let chosen = Evaluator.spread(count, over: total)
      #expect(chosen.count == count && chosen[0] == 0 && chosen.allSatisfy { $0 < total })
      let gaps = zip(chosen, chosen.dropFirst()).map { $1 - $0 }
      #expect(gaps.allSatisfy { (total / count...total / count + 1).contains($0) }, "\(count) of \(total)")
    }
  }

  @Test(
    "All windows give the result of the complete text, some windows that of the selection, on one and several ranks")
  func bounded() throws {
    let run = try TinyRun()
    let documents = (0..<6).map { "document \($0): \(String(repeating: "äöü 123 ", count: 5 + $0))" }
    func results(_ communicator: Communicator) throws -> [Evaluator.TextResult] {
      let assembly = try run.assembly(communicator)
      let weights = assembly.model.makePackedModel()
      assembly.model.pack(try assembly.masters(), into: weights, assembly.context)
      let stream = TokenStream(documents: documents, tokenizer: assembly.tokenizer)
      let evaluator = Evaluator(
        configuration: run.configuration, model: assembly.model, tokenizer: assembly.tokenizer,
        communicator: communicator, context: assembly.context)
      return try [1000, 5].map { try evaluator.text(stream, length: 12, count: $0, weights) }
    }
    let together = try results(Ranks.together())
    #expect(together == (try results(Ranks.alone())))
    let bytes = documents.reduce(0) { $0 + $1.utf8.count }
    #expect(together[0].bytes == bytes && together[1].bytes > 30 && together[1].bytes <= 55)
    #expect(together[1].tokens == 55)
    // Random weights predict all bytes about equally well.
    #expect(abs(together[1].bitsPerByte / together[0].bitsPerByte - 1) < 0.2)
  }
}
