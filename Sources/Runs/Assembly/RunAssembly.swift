import Checkpoints
import Checks
import Configuration
import Exports
import Formats
import Foundation
import Learning
import Logging
import Models
import MPI
import Optimizers
import Parallelism
import Parameters
import Rollouts
import Tensors

/// Builds the common parts of runs from a configuration: model, tokenizer, data, rewards and weights.
public struct RunAssembly {
  public internal(set) var configuration: RunConfiguration
  /// The configuration file, for messages.
  public let file: String
  public let model: QuillanModel
  public let tokenizer: any Tokenizer
  public let communicator: Communicator
  public let context: Context
  /// The checks of debug mode; nil without debug mode.
  package let checks: DebugChecks?
  /// The parameters that this rank holds.
  public let ownership: Ownership

  /// Local.
  ///
  /// - Parameter threads: this rank's threads.
  /// - Throws: `ConfigurationError`, `ConfigurationIssue`, `TrainingError` or `TokenizerError`.
  public init(_ configuration: RunConfiguration, file: String, threads: Int, communicator: Communicator) throws {
    try configuration.validate(file: file)
    try configuration.parallel.validate(
      file: file, ranks: communicator.size, miniMoEs: configuration.model.numMiniMoes)
    self.configuration = configuration
    self.file = file
    self.communicator = communicator
    let miniMoEs = configuration.model.numMiniMoes
    ownership = Ownership(
      miniMoEs: miniMoEs, size: configuration.parallel.expert, rank: communicator.rank % configuration.parallel.expert)
    model = try QuillanModel(configuration.model, configuration.precision)
    tokenizer = try configuration.data.makeTokenizer()
    guard tokenizer.vocabularySize <= configuration.model.vocabSize else {
      throw TrainingError(
        .configuration,
        "\(file): model.vocab_size \(configuration.model.vocabSize) is smaller than the tokenizer's "
          + "\(tokenizer.vocabularySize) tokens; raise it to at least \(tokenizer.vocabularySize)")
    }
    let passes = PassRecorder()
    checks = configuration.debug.checks ? DebugChecks(configuration.debug, passes) : nil
    context = Context(threads: threads, observer: passes)
  }

  /// How the ranks share the model, for messages.
  public var layout: String { Topology.describe(ranks: communicator.size, ownership) }

  /// Masters from `path` or `checkpoint.weights`, or initial masters. Every rank reads the same file.
  ///
  /// - Parameters:
  ///   - whole: whether to return all masters, not only those that this rank holds.
  ///   - blank: whether to return zeros, because a checkpoint will replace the masters.
  public func masters(weights path: String? = nil, whole: Bool = false, blank: Bool = false) throws -> ParameterStore {
    let held = whole ? model.table.ids : ownership.held(in: model.table)
    if blank { return ParameterStore(model.table, holding: held) }
    guard let path = path ?? configuration.checkpoint.weights else {
      return model.initialParameters(seed: configuration.rl.seed, holding: held, pool: context.pool)
    }
    switch try WeightsLocation(path) {
    case .checkpoint(let directory):
      return try WeightsFile.load(
        CheckpointReader(directory), for: model, holding: held, threads: context.pool.threads)
    case .file(let file): return try WeightsFile.load(SafetensorsFile(path: file), for: model, holding: held)
    }
  }

  /// A learner with the configured optimizer, over the masters that this rank holds. Collective.
  ///
  /// - Parameter machine: as for `Topology`.
  public func learner(
    _ masters: ParameterStore, averageDecay: Double = 0, machine: Communicator? = nil
  ) throws(MPIError) -> Learner {
    let learner = Learner(
      configuration, model, masters: masters,
      topology: try Topology(configuration, world: communicator, machine: machine),
      averageDecay: averageDecay, context)
    learner.observer = checks
    return learner
  }

  /// The configured prompts.
  ///
  /// - Parameter use: the purpose of the prompts.
  public func prompts(for use: PromptUse = .reinforcement) throws -> any PromptSource {
    try prompts(for: use, observing: { _, _ in })
  }

  func prompts(of task: TaskConfiguration, heldOut: Double, for use: PromptUse) throws -> ProceduralTask {
    var options = BuiltInTask.Options()
    guard let builtIn = BuiltInTask(rawValue: task.name.rawValue) else {
      preconditionFailure("the task \(task.name.rawValue) is not built in")
    }
    switch builtIn {
    case .addition, .subtraction, .multiplication:
      options.size = task.digits
      options.minimumSize = task.minimumDigits
      options.isZeroPadded = task.zeroPadded
      options.isAnswerReversed = task.answerReversed
    case .sorting, .reversal, .copy: options.size = task.length
    }
    return try ProceduralTask(
      family: builtIn.family(options), seed: task.seed, heldOutShare: heldOut,
      version: configuration.data.split, use: use)
  }

  /// The training and held-out parts of `data.text`, if it is set. With `data.held_out` 0, the held-out part is nil.
  ///
  /// - Parameter observe: receives the bytes of the file.
  public func text(observe: ContentObserver = { _ in }) throws -> (train: TokenStream, heldOut: TokenStream?)? {
    guard let path = configuration.data.text else { return nil }
    let corpus = try TextCorpus(
      contentsOf: URL(fileURLWithPath: path), member: configuration.data.members().text ?? "text",
      heldOutShare: configuration.data.heldOut,
      version: configuration.data.split, observe: observe)
    return (
      TokenStream(documents: corpus.train, tokenizer: tokenizer),
      corpus.heldOut.isEmpty ? nil : TokenStream(documents: corpus.heldOut, tokenizer: tokenizer)
    )
  }

  /// Rewards with their weights.
  ///
  /// - Parameter key: the key of the configuration, for messages.
  func rewards(_ configured: [RewardConfiguration], _ key: String) throws -> WeightedRewards {
    try WeightedRewards(
      configured.map { reward in
        let term: any Reward
        switch reward.name {
        case .exactMatch: term = ExactMatchReward()
        case .partialCredit: term = PartialCreditReward()
        case .numericMatch: term = NumericMatchReward()
        case .format:
          do { term = try FormatReward(pattern: reward.pattern ?? "") } catch {
            throw TrainingError(.configuration, "\(file): \(key): \(error)")
          }
        case .length:
          let full = reward.length ?? 0
          term = try LengthReward(
            fullAt: full, zeroAt: max(full + 1, configuration.objective.maxTrajectoryLen))
        case .command: term = try commandReward(reward, key)
        }
        return WeightedRewards.Term(term, weight: reward.weight)
      })
  }

  /// A reward that runs a program; this rank logs the stderr of the program's processes.
  private func commandReward(_ reward: RewardConfiguration, _ key: String) throws -> CommandReward {
    var settings = CommandReward.Settings(command: reward.command)
    settings.workers = reward.workers
    settings.batch = reward.batch
    settings.timeout = reward.timeout
    settings.startTimeout = reward.startTimeout
    let logger = Logger(label: "quillan")
    do {
      return try CommandReward(name: reward.label ?? "command", settings: settings, rank: communicator.rank) {
        logger.warning("\($0)")
      }
    } catch {
      throw TrainingError(.configuration, "\(file): \(key): \(error)")
    }
  }

  /// The inputs that a run reads from files before it starts.
  public struct Materials {
    public let masters: ParameterStore
    /// Nil if the run pre-trains on or evaluates `data.text` instead.
    public let prompts: (any PromptSource)?
    public let rewards: WeightedRewards?
    /// The rewards of evaluations: `rewards`, and those of `evaluation.sources`.
    public let evaluationRewards: WeightedRewards?
    /// The prompts that evaluations measure.
    public let evaluated: [EvaluatedPrompts]
    /// The groups that `train` learns from instead of sampling, if `data.trajectories` is set.
    public let recorded: [RecordedGroup]?
    public let text: (train: TokenStream, heldOut: TokenStream?)?
    /// The sequences of pre-training.
    public let sequences: (any SequenceSource)?
    /// Digests of the data files.
    public let inputs: InputDigests
    /// Settings that are allowed but probably not intended, one line each with the remedy.
    public let warnings: [String]
  }

  /// Reads weights, prompts, rewards, recorded trajectories and text, and checks every prompt. Local: every rank reads
  /// the same files.
  ///
  /// - Parameter blank: as for `masters`.
  public func materials(for phase: RunPhase, weights path: String?, blank: Bool = false) throws -> Materials {
    var inputs = InputDigests()
    try inputs.readTokenizer(configuration)
    let text = phase == .train ? nil : try text { inputs.add($0, of: .text) }
    let data = configuration.data
    let recorded =
      phase == .train
      ? try data.trajectories.map { path in try recordedGroups(path) { inputs.add($0, of: .trajectories) } } : nil
    try recorded.map { try RecordedRollouts.check($0, configuration) }
    // Recorded trajectories do not need prompts; prompts are then only for evaluation.
    let onlyEvaluates =
      recorded != nil || (phase == .evaluate && text == nil && !configuration.evaluation.sources.isEmpty)
    let needsPrompts = onlyEvaluates ? data.hasPrompts : phase == .train || text == nil
    let use = phase == .pretrain ? PromptUse.demonstrations : .reinforcement
    let observe: InputObserver = { inputs.add($1, of: $0) }
    let prompts = needsPrompts ? try prompts(for: use, observing: observe) : nil
    let isScored = text == nil && (needsPrompts || !configuration.evaluation.sources.isEmpty)
    let evaluated = isScored ? try evaluatedPrompts(prompts, observing: observe) : []
    let rewards = needsPrompts || isScored ? try rewards() : nil
    var warnings = recorded.map { RecordedGroup.warnings(about: $0) } ?? []
    // Recorded groups have any number of sequences.
    if recorded == nil, let warning = IdleRanks.warning(configuration, phase, ranks: communicator.size) {
      warnings.append(warning)
    }
    let evaluationRewards = try rewards.map(evaluationRewards)
    if let evaluationRewards {
      let check = DataCheck(self, phase, evaluationRewards)
      for source in (prompts as? PromptMixture)?.parts.map(\.source) ?? prompts.map({ [$0] }) ?? [] {
        warnings += try check.warnings(source)
        try check.check(source, isTrained: phase != .evaluate && recorded == nil)
      }
      for set in evaluated { try check.check(set.source, isTrained: false) }
      warnings += Self.overlapWarnings(prompts, evaluated)
    }
    if phase == .evaluate, text.map({ $0.heldOut == nil }) ?? !evaluated.contains(where: \.isMain) {
      throw TrainingError(
        .configuration,
        "\(file): data.held_out \(configuration.data.heldOut) leaves nothing to evaluate on; set it to the share "
          + "that training held out")
    }
    return Materials(
      masters: try masters(weights: path, whole: phase == .evaluate, blank: blank), prompts: prompts,
      rewards: rewards, evaluationRewards: evaluationRewards, evaluated: evaluated, recorded: recorded, text: text,
      sequences: phase == .pretrain ? sequences(text, prompts) : nil, inputs: inputs, warnings: warnings)
  }

  private func recordedGroups(_ path: String, observe: ContentObserver) throws -> [RecordedGroup] {
    try TrajectoryFile.groups(
      at: URL(fileURLWithPath: path), tokenizer: tokenizer, vocabularySize: tokenizer.vocabularySize, observe: observe)
  }

  /// The sequences to pre-train on: `data.text` if it is set, otherwise demonstrations of the prompts.
  private func sequences(
    _ text: (train: TokenStream, heldOut: TokenStream?)?, _ prompts: (any PromptSource)?
  ) -> (any SequenceSource)? {
    if let text {
      let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
      return TextSequences(
        stream: text.train, length: length, seed: configuration.rl.seed, isShuffled: configuration.data.shuffle)
    }
    return prompts.map { DemonstrationSequences(prompts: $0, tokenizer: tokenizer, configuration: configuration) }
  }
}
