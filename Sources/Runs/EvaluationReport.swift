import Errors
import Learning
import Models
import Parameters
import Reports
import Rollouts
import Formats

/// Held-out results of one set of weights, as a table and as JSON.
public struct EvaluationReport: Sendable {
  public private(set) var tasks: [Evaluator.TaskResult] = []
  /// The names of `tasks`.
  private var names: [String] = []
  public private(set) var corpus: Evaluator.TextResult?

  /// Evaluates; the report is equal on every rank. Collective.
  ///
  /// - Parameters:
  ///   - count: the maximum number of held-out prompts, or of windows of held-out text.
  ///   - samples: sampled completions per prompt in addition to the greedy one; 0: none.
  ///   - collectsCompletions: whether rank 0 gets all completions as `completions`.
  public init(
    _ assembly: RunAssembly, _ materials: RunAssembly.Materials, count: Int, samples: Int,
    collectsCompletions: Bool = false
  ) throws {
    assembly.configuration.precision.bf16Sums.select()
    let weights = assembly.model.makePackedModel()
    assembly.model.pack(materials.masters, into: weights, assembly.context)
    let evaluator = assembly.evaluator
    if let heldOut = materials.text?.heldOut {
      let length = min(assembly.configuration.pretrain.sequenceLength, assembly.model.configuration.maxSeqLen)
      corpus = try evaluator.text(heldOut, length: length, count: count, weights)
    } else if let rewards = materials.evaluationRewards {
      for set in materials.evaluated {
        let (name, source) = (set.name ?? set.source.name, set.source)
        let available = min(count, source.heldOutCount ?? count)
        for draws in samples > 0 ? [0, samples] : [0] where available > 0 {
          tasks.append(
            try evaluator.task(
              source, rewards, count: available, samples: draws, weights,
              collected: collectsCompletions ? name : nil))
          names.append(name)
        }
      }
    }
  }

  /// All completions as JSON Lines, if they were collected. Rank 0.
  public var completions: String { CompletionLine.header + tasks.map(\.completions).joined() }

  /// Sample completions of each task and mode. Rank 0.
  private var exampleRows: [[String]] {
    let rows = zip(names, tasks).flatMap { name, task in
      task.examples.prefix(4).map { example in
        [
          name, task.mode, Self.cell(example.prompt), Self.cell(example.completion), Self.cell(example.answer ?? ""),
          FigureText.fixed(example.reward, 3),
        ]
      }
    }
    return rows.isEmpty ? [] : [["task", "mode", "prompt", "completion", "answer", "reward"]] + rows
  }

  /// The beginning of a text on one line, with line breaks as ⏎ and without control characters.
  private static func cell(_ text: String) -> String {
    let line = text.map { character in
      let isControl = character.unicodeScalars.contains { $0.properties.generalCategory == .control }
      return character.isNewline ? "⏎" : isControl ? "\u{FFFD}" : String(character)
    }.joined()
    return line.count > 40 ? line.prefix(39) + "…" : line
  }

  /// One row per task and mode, with pass@k for sampled completions.
  private var taskRows: [[String]] {
    let ks = Set(tasks.filter { $0.samples > 1 }.flatMap(\.passAt.keys)).sorted()
    let header = [
      "task", "mode", "prompts", "samples", "exact match", "pass rate", "reward", "mean length", "finished",
    ]
    let rows = zip(names, tasks).map { name, task in
      [
        name, task.mode, "\(task.prompts)", "\(task.samples)", FigureText.fixed(task.exactMatch, 4),
        FigureText.fixed(task.passRate, 4), task.reward.map { FigureText.fixed($0, 4) } ?? "none scored",
        FigureText.fixed(task.meanLength, 2),
        FigureText.fixed(task.finished, 4),
      ] + ks.map { k in task.samples > 1 ? task.passAt[k].map { FigureText.fixed($0, 4) } ?? "" : "" }
    }
    return [header + ks.map { "pass@\($0)" }] + rows
  }

  private var textRows: [[String]] {
    guard let corpus else { return [] }
    return [
      ["text", "bits per byte", "nats per token", "tokens", "bytes"],
      [
        "held out", FigureText.fixed(corpus.bitsPerByte, 4), FigureText.fixed(corpus.crossEntropy, 4),
        "\(corpus.tokens)", "\(corpus.bytes)",
      ],
    ]
  }

  private var tables: [[[String]]] { [tasks.isEmpty ? [] : taskRows, textRows].filter { !$0.isEmpty } }

  /// The tables and some completions, as plain text.
  public var text: String {
    (tables + [exampleRows].filter { !$0.isEmpty }).map { rows in
      var table = Table(rows[0])
      for row in rows.dropFirst() { table.add(row) }
      return table.text
    }.joined(separator: "\n")
  }

  /// The tables as Markdown.
  public var markdown: String {
    tables.map { rows in
      let rule = rows[0].indices.map { $0 == 0 ? "---" : "---:" }
      return ([rows[0], rule] + rows.dropFirst()).map { MarkdownText.row($0) + "\n" }.joined()
    }.joined(separator: "\n")
  }

  /// The report as one line of JSON.
  public var json: String {
    var members: [String: JSONValue] = [
      "format": .text("quillan-evaluation"), "version": .integer(1),
      "tasks": .list(
        zip(names, tasks).map { name, task in Self.json(name, task) }),
    ]
    if let corpus {
      members["text"] = .object([
        "bits_per_byte": .number(corpus.bitsPerByte), "cross_entropy": .number(corpus.crossEntropy),
        "tokens": .integer(corpus.tokens), "bytes": .integer(corpus.bytes),
      ])
    }
    return JSONValue.object(members).serialized + "\n"
  }

  private static func json(_ name: String, _ task: Evaluator.TaskResult) -> JSONValue {
    var members: [String: JSONValue] = [
      "task": .text(name), "mode": .text(task.mode), "prompts": .integer(task.prompts),
      "samples": .integer(task.samples), "exact_match": .number(task.exactMatch),
      "pass_rate": .number(task.passRate), "rewards": .object(task.rewards.mapValues(JSONValue.number)),
      "reward": task.reward.map(JSONValue.number) ?? .null,
      "mean_length": .number(task.meanLength), "finished": .number(task.finished), "unscored": .integer(task.unscored),
    ]
    if task.samples > 1 {
      members["pass_at"] = .object(
        Dictionary(uniqueKeysWithValues: task.passAt.map { ("\($0.key)", JSONValue.number($0.value)) }))
    }
    return .object(members)
  }
}
