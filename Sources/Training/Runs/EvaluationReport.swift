import Models
import Parameters
import Rollouts

/// Held-out results of one set of weights, as a table and as JSON.
public struct EvaluationReport: Sendable {
  public private(set) var tasks: [Evaluator.TaskResult] = []
  public private(set) var corpus: Evaluator.TextResult?

  /// Measures; equal on every rank. Collective.
  ///
  /// - Parameters:
  ///   - count: held-out prompts; fewer where there are fewer.
  ///   - samples: sampled completions per prompt besides the greedy one; 0: none.
  public init(_ assembly: RunAssembly, _ materials: RunAssembly.Materials, count: Int, samples: Int) throws {
    let weights = assembly.model.makePackedModel()
    assembly.model.pack(materials.masters, into: weights, assembly.context)
    let evaluator = Evaluator(
      configuration: assembly.configuration, model: assembly.model, tokenizer: assembly.tokenizer,
      communicator: assembly.communicator, context: assembly.context)
    if let heldOut = materials.text?.heldOut {
      let length = min(assembly.configuration.pretrain.sequenceLength, assembly.model.configuration.maxSeqLen)
      corpus = try evaluator.text(heldOut, length: length, weights)
    } else if let prompts = materials.prompts, let rewards = materials.rewards {
      let available = min(count, prompts.heldOutCount ?? count)
      for draws in samples > 0 ? [0, samples] : [0] {
        tasks.append(try evaluator.task(prompts, rewards, count: available, samples: draws, weights))
      }
    }
  }

  /// The table that people read.
  public var text: String {
    var parts: [String] = []
    if !tasks.isEmpty {
      var table = Table(["task", "mode", "prompts", "samples", "exact match", "reward", "mean length", "finished"])
      for task in tasks {
        table.add([
          task.task, task.mode, "\(task.prompts)", "\(task.samples)", FigureText.fixed(task.exactMatch, 4),
          FigureText.fixed(task.reward, 4), FigureText.fixed(task.meanLength, 2), FigureText.fixed(task.finished, 4),
        ])
      }
      parts.append(table.text)
    }
    if let corpus {
      var table = Table(["text", "bits per byte", "nats per token", "tokens", "bytes"])
      table.add([
        "held out", FigureText.fixed(corpus.bitsPerByte, 4), FigureText.fixed(corpus.crossEntropy, 4),
        "\(corpus.tokens)", "\(corpus.bytes)",
      ])
      parts.append(table.text)
    }
    return parts.joined(separator: "\n")
  }

  /// One JSON object on a line.
  public var json: String {
    var members: [String: JSONValue] = [
      "format": .text("quillan-evaluation"), "version": .integer(1),
      "tasks": .list(
        tasks.map {
          .object([
            "task": .text($0.task), "mode": .text($0.mode), "prompts": .integer($0.prompts),
            "samples": .integer($0.samples), "exact_match": .number($0.exactMatch), "reward": .number($0.reward),
            "mean_length": .number($0.meanLength), "finished": .number($0.finished),
          ])
        }),
    ]
    if let corpus {
      members["text"] = .object([
        "bits_per_byte": .number(corpus.bitsPerByte), "cross_entropy": .number(corpus.crossEntropy),
        "tokens": .integer(corpus.tokens), "bytes": .integer(corpus.bytes),
      ])
    }
    return JSONValue.object(members).serialized + "\n"
  }
}
