import Layers
import Models
import Tensors

/// Concatenated sequences in an arena's memory: S sequences with T tokens and N trained tokens in total.
struct SequenceBatch {
  /// Tokens [T] and the range of each sequence [S].
  let tokens: TokenBatch
  /// [T · ⌈B/8⌉]
  let latents: ArenaList<UInt8>
  /// [S]
  let lengths: ArenaList<Int>
  let auxiliaryWeights: ArenaList<Float>
  let diffusionWeights: ArenaList<Float>
  /// The rows of [T] that predict the trained tokens, and the trained tokens [N].
  let predictors: ArenaList<Int>
  let targets: ArenaList<Int32>
  /// The end of each sequence's range in `predictors` [S].
  private let ends: ArenaList<Int>

  init(_ sequences: [TrainingSequence], in arena: Arena) {
    let count = sequences.count
    var tokens = ArenaList<Int32>(capacity: sequences.reduce(0) { $0 + $1.tokens.count }, in: arena)
    var spans = ArenaList<Span>(capacity: count, in: arena)
    var latents = ArenaList<UInt8>(capacity: sequences.reduce(0) { $0 + $1.latents.count }, in: arena)
    var lengths = ArenaList<Int>(capacity: count, in: arena)
    var auxiliaryWeights = ArenaList<Float>(capacity: count, in: arena)
    var diffusionWeights = ArenaList<Float>(capacity: count, in: arena)
    let rows = sequences.reduce(0) { $0 + $1.positions.count }
    var predictors = ArenaList<Int>(capacity: rows, in: arena)
    var targets = ArenaList<Int32>(capacity: rows, in: arena)
    var ends = ArenaList<Int>(capacity: count, in: arena)
    for sequence in sequences {
      for position in sequence.positions {
        predictors.append(tokens.count + position - 1)
        targets.append(sequence.tokens[position])
      }
      ends.append(predictors.count)
      spans.append(Span(first: tokens.count, count: sequence.tokens.count))
      tokens.append(contentsOf: sequence.tokens)
      latents.append(contentsOf: sequence.latents)
      lengths.append(sequence.tokens.count)
      auxiliaryWeights.append(sequence.auxiliaryWeight)
      diffusionWeights.append(sequence.diffusionWeight)
    }
    self.tokens = TokenBatch(tokens: tokens, spans: spans)
    self.latents = latents
    self.lengths = lengths
    self.auxiliaryWeights = auxiliaryWeights
    self.diffusionWeights = diffusionWeights
    self.predictors = predictors
    self.targets = targets
    self.ends = ends
  }

  /// The range of a sequence in `predictors`.
  func rows(_ sequence: Int) -> Range<Int> { (sequence == 0 ? 0 : ends[sequence - 1])..<ends[sequence] }
}
