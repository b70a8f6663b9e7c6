import Formats
import Foundation
import Layers
import Learning
import Models
import Objectives
import Parameters
import Rollouts
import Tensors

/// The forward pass of one sequence with all intermediate values, bit-identical to the step's pass because a sequence's
/// values do not depend on its batch. Shapes: T tokens, d model, k chosen mini-MoEs, N predicted tokens.
struct SequenceInspection {
  /// The model's outputs for each predicted token [N].
  let signals: SequenceSignals
  /// Chosen mini-MoEs of each layer [layer][T · k], in order of choice.
  let chosen: [[Int32]]
  /// The tensors `activations.<id>.…` that `names` selects: `tokens` I32 [T], `latents` U8 [T, ⌈d/8⌉], `coordination`,
  /// `context`, `after_latents`, `layers.<l>.after_attention`, `layers.<l>.after_moe`, `hidden` [T, d],
  /// `layers.<l>.mini_moe_index` I32 [T, k], `log_probability` and `entropy` [N].
  private(set) var tensors: [SafetensorsTensor] = []

  /// - Parameter weights: the complete model.
  init(
    _ sequence: TrainingSequence, _ model: QuillanModel, _ weights: PackedModel, temperature: Float, names: TensorNames,
    _ context: Context
  ) {
    let length = sequence.tokens.count
    let topK = model.configuration.miniMoeTopK
    var tensors: [SafetensorsTensor] = []
    func name(_ part: String) -> String? {
      let name = "activations.\(sequence.id).\(part)"
      return names.contains(name) ? name : nil
    }
    func add(_ part: String, _ matrix: Matrix) {
      guard let name = name(part) else { return }
      tensors.append(SafetensorsTensor(name: name, shape: [matrix.rows, matrix.columns], floats: matrix.array))
    }
    func add<Element: BitwiseCopyable & Sendable>(
      _ part: String, _ type: SafetensorsDataType, _ shape: [Int], _ elements: [Element]
    ) {
      guard let name = name(part) else { return }
      tensors.append(SafetensorsTensor(name: name, dataType: type, shape: shape, elements: elements))
    }
    (signals, chosen) = context.arena.scoped {
      let pass = SequencePass(
        [sequence], model, weights, temperature: temperature, retention: .everything, loads: nil, exchange: nil, context
      )
      let (prefix, trunk) = (pass.prefix, pass.trunk)
      let chosen = trunk.layers.map { Array($0.chosen) }
      let signals = SequenceSignals(pass.signals(0))
      add("tokens", .int32, [length], sequence.tokens)
      if !sequence.latents.isEmpty { add("latents", .uint8, [length, model.latentBytes], sequence.latents) }
      add("coordination", prefix.coordination)
      add("context", prefix.xContext)
      add("after_latents", trunk.afterLatents)
      for (layer, saved) in trunk.layers.enumerated() {
        add("layers.\(layer).after_attention", saved.afterAttention)
        add("layers.\(layer).after_moe", trunk.states[layer + 1])
        add("layers.\(layer).mini_moe_index", .int32, [length, topK], chosen[layer])
      }
      add("hidden", trunk.hidden)
      add("log_probability", .float32, [signals.logProbabilities.count], signals.logProbabilities)
      add("entropy", .float32, [signals.entropies.count], signals.entropies)
      return (signals, chosen)
    }
    self.tensors = tensors
  }

  /// A record of each predicted token.
  func tokens(of sequence: TrainingSequence, _ model: QuillanModel, _ tokenizer: any Tokenizer) -> [TokenRecord] {
    let surrogates = sequence.member.map { member in
      member.objective.tokens(
        trajectory: member.index,
        TrajectorySignals(
          oldLogProbabilities: member.oldLogProbabilities, logProbabilities: signals.logProbabilities,
          entropies: signals.entropies, values: signals.values))
    }
    let topK = model.configuration.miniMoeTopK
    return sequence.positions.enumerated().map { index, position in
      let surrogate = surrogates.map { $0[index] }
      return TokenRecord(
        group: sequence.member?.group, sequence: sequence.id, position: position, token: sequence.tokens[position],
        text: tokenizer.decode([sequence.tokens[position]]),
        oldLogProbability: sequence.member?.oldLogProbabilities[index],
        logProbability: signals.logProbabilities[index], ratio: surrogate?.ratio,
        advantage: sequence.member.map { $0.objective.advantages[$0.index] }, clipping: surrogate?.clipping ?? .none,
        entropy: signals.entropies[index],
        miniMoEs: chosen.map { Array($0[(position - 1) * topK..<position * topK]) })
    }
  }
}

/// Shell patterns of names: `*` matches any text, `?` any character, `[…]` a character of a set.
struct TensorNames {
  private let patterns: [String]

  init(_ patterns: [String]) { self.patterns = patterns }

  var isEmpty: Bool { patterns.isEmpty }

  func contains(_ name: String) -> Bool { patterns.contains { fnmatch($0, name, 0) == 0 } }
}
