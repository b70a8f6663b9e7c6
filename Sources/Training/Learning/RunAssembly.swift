import Exports
import Foundation
import MPI
import Models
import Optimizers
import Parameters
import Rollouts
import Tensors

/// Builds from a configuration what runs have in common: model, tokenizer, data, rewards, weights.
public struct RunAssembly {
  public let configuration: RunConfiguration
  /// The configuration's file, for messages.
  public let file: String
  public let model: QuillanModel
  public let tokenizer: any Tokenizer
  public let communicator: Communicator
  public let context: Context

  /// - Throws: `ConfigurationError`, `ConfigurationIssue`, `TrainingError` or `TokenizerError`.
  public init(_ configuration: RunConfiguration, file: String, communicator: Communicator) throws {
    guard configuration.parallel.expert == 1 else {
      throw TrainingError(
        .configuration,
        "\(file): parallel.expert is \(configuration.parallel.expert): this version trains with the whole council on "
          + "every rank; set parallel.expert to 1")
    }
    self.configuration = configuration
    self.file = file
    self.communicator = communicator
    model = try QuillanModel(configuration.model, configuration.precision)
    switch configuration.data.tokenizer {
    case .byte: tokenizer = ByteTokenizer()
    case .gpt2: tokenizer = try BytePairTokenizer.gpt2()
    }
    guard tokenizer.vocabularySize <= configuration.model.vocabSize else {
      throw TrainingError(
        .configuration,
        "\(file): model.vocab_size \(configuration.model.vocabSize) is smaller than the tokenizer's "
          + "\(tokenizer.vocabularySize) tokens; raise it to at least that")
    }
    var threads = configuration.parallel.threads
    if threads == 0 {
      let ranks = try communicator.splitByMachine().size
      threads = max(1, ProcessInfo.processInfo.activeProcessorCount / ranks)
    }
    context = Context(threads: threads)
  }

  /// Masters from `checkpoint.weights` or `path`, or initial ones. Every rank reads the same file.
  public func masters(weights path: String? = nil) throws -> ParameterStore {
    guard let path = path ?? configuration.checkpoint.weights else {
      return model.initialParameters(seed: configuration.rl.seed, pool: context.pool)
    }
    return try WeightsFile.load(SafetensorsFile(path: path), for: model)
  }

  /// A learner with the optimizer of the configuration.
  public func learner(_ masters: ParameterStore) -> Learner {
    Learner(
      model: model, masters: masters,
      optimizer: AdamW(
        beta1: configuration.optimizer.beta1, beta2: configuration.optimizer.beta2,
        epsilon: configuration.optimizer.epsilon, weightDecay: configuration.rl.weightDecay),
      mixedPrecision: configuration.rl.useMixedPrecision, reproducible: configuration.parallel.reproducible,
      communicator: communicator, context: context)
  }

  /// The prompts that the configuration names.
  public func prompts() throws -> any PromptSource {
    switch try configuration.promptSource(file: file) {
    case .task(let task):
      var options = BuiltInTask.Options()
      guard let builtIn = BuiltInTask(rawValue: task.name.rawValue) else {
        preconditionFailure("the task \(task.name.rawValue) is not built in")
      }
      switch builtIn {
      case .addition, .subtraction, .multiplication: options.size = task.digits
      case .sorting, .reversal, .copy: options.size = task.length
      }
      return try ProceduralTask(
        family: builtIn.family(options), seed: task.seed, heldOutShare: configuration.data.heldOut)
    case .file(let path):
      return try PromptSet(
        name: path, prompts: PromptFile.prompts(at: URL(fileURLWithPath: path)), seed: configuration.rl.seed,
        heldOutShare: configuration.data.heldOut)
    }
  }

  /// The held-out and training parts of `data.text`, where the configuration names one.
  public func text() throws -> (train: TokenStream, heldOut: TokenStream)? {
    guard let path = configuration.data.text else { return nil }
    let corpus = try TextCorpus(contentsOf: URL(fileURLWithPath: path), heldOutShare: configuration.data.heldOut)
    return (
      TokenStream(documents: corpus.train, tokenizer: tokenizer),
      TokenStream(documents: corpus.heldOut, tokenizer: tokenizer)
    )
  }

  /// The weighted rewards of the configuration.
  public func rewards() throws -> WeightedRewards {
    try WeightedRewards(
      configuration.data.rewards.map { reward in
        let term: any Reward
        switch reward.name {
        case .exactMatch: term = ExactMatchReward()
        case .partialCredit: term = PartialCreditReward()
        case .numericMatch: term = NumericMatchReward()
        case .format: term = try FormatReward(pattern: reward.pattern ?? "")
        case .length:
          let full = reward.length ?? 0
          term = try LengthReward(
            fullAt: full, zeroAt: max(full + 1, configuration.objective.maxTrajectoryLen))
        }
        return WeightedRewards.Term(term, weight: reward.weight)
      })
  }

  /// The sequences to pre-train on: `data.text` where given, otherwise demonstrations of the prompts.
  public func sequences() throws -> any SequenceSource {
    if let text = try text() {
      let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
      return TextSequences(stream: text.train, length: length, seed: configuration.rl.seed)
    }
    return DemonstrationSequences(prompts: try prompts(), tokenizer: tokenizer, configuration: configuration)
  }
}
