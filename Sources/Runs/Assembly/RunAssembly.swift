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

/// Builds from a configuration what runs have in common: model, tokenizer, data, rewards, weights.
public struct RunAssembly {
  public internal(set) var configuration: RunConfiguration
  /// The configuration's file, for messages.
  public let file: String
  public let model: QuillanModel
  public let tokenizer: any Tokenizer
  public let communicator: Communicator
  public let context: Context
  /// Debug mode's checks; nil outside of it.
  package let checks: DebugChecks?
  /// What this rank holds of the parameters.
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
          + "\(tokenizer.vocabularySize) tokens; raise it to at least that")
    }
    let passes = PassRecorder()
    checks = configuration.debug.checks ? DebugChecks(configuration.debug, passes) : nil
    context = Context(threads: threads, observer: passes)
  }

  /// How ranks share the model, in a few words.
  public var layout: String { Topology.describe(ranks: communicator.size, ownership) }

  /// Masters from `checkpoint.weights` or `path`, or initial ones: what this rank holds, or all. Every rank reads the
  /// same file.
  ///
  /// - Parameter blank: whether zeros will do, since a checkpoint is about to take their place.
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

  /// A learner with the optimizer of the configuration, over masters of what this rank holds. Collective.
  ///
  /// - Parameter machine: that of `Topology`.
  public func learner(_ masters: ParameterStore, machine: Communicator? = nil) throws(MPIError) -> Learner {
    let learner = Learner(
      configuration, model, masters: masters,
      topology: try Topology(configuration, world: communicator, machine: machine), context)
    learner.observer = checks
    return learner
  }

  /// The prompts that the configuration names.
  ///
  /// - Parameters:
  ///   - use: what they are drawn for.
  ///   - observe: gets the bytes of their file.
  public func prompts(
    for use: PromptUse = .reinforcement, observe: ContentObserver = { _ in }
  ) throws -> any PromptSource {
    switch try configuration.promptSource(file: file) {
    case .task(let task): return try prompts(of: task, for: use)
    case .file(let path):
      return try PromptSet(
        name: path, prompts: PromptFile.prompts(at: URL(fileURLWithPath: path), observe: observe),
        seed: configuration.rl.seed, heldOutShare: configuration.data.heldOut, version: configuration.data.split,
        use: use)
    }
  }

  private func prompts(of task: TaskConfiguration, for use: PromptUse = .reinforcement) throws -> ProceduralTask {
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
      family: builtIn.family(options), seed: task.seed, heldOutShare: configuration.data.heldOut,
      version: configuration.data.split, use: use)
  }

  /// `evaluation.tasks` with the names that figures have: the task's, and its place where two are of one name.
  public func evaluationTasks() throws -> [(name: String, source: any PromptSource)] {
    let tasks = configuration.evaluation.tasks
    return try tasks.enumerated().map { index, task in
      let isAlone = tasks.count { $0.name == task.name } == 1
      return (isAlone ? task.name.rawValue : "\(task.name.rawValue)-\(index + 1)", try prompts(of: task))
    }
  }

  /// The held-out and training parts of `data.text`, where the configuration names one.
  /// Nothing is held out at a `data.held_out` of 0.
  ///
  /// - Parameter observe: gets the bytes of the file.
  public func text(observe: ContentObserver = { _ in }) throws -> (train: TokenStream, heldOut: TokenStream?)? {
    guard let path = configuration.data.text else { return nil }
    let corpus = try TextCorpus(
      contentsOf: URL(fileURLWithPath: path), heldOutShare: configuration.data.heldOut,
      version: configuration.data.split, observe: observe)
    return (
      TokenStream(documents: corpus.train, tokenizer: tokenizer),
      corpus.heldOut.isEmpty ? nil : TokenStream(documents: corpus.heldOut, tokenizer: tokenizer)
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
        case .format:
          do { term = try FormatReward(pattern: reward.pattern ?? "") } catch {
            throw TrainingError(.configuration, "\(file): data.rewards: \(error)")
          }
        case .length:
          let full = reward.length ?? 0
          term = try LengthReward(
            fullAt: full, zeroAt: max(full + 1, configuration.objective.maxTrajectoryLen))
        case .command: term = try commandReward(reward)
        }
        return WeightedRewards.Term(term, weight: reward.weight)
      })
  }

  /// A reward by a program; what its processes write to stderr becomes log lines of this rank.
  private func commandReward(_ reward: RewardConfiguration) throws -> CommandReward {
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
      throw TrainingError(.configuration, "\(file): data.rewards: \(error)")
    }
  }

  /// What a run reads from files before it starts.
  public struct Materials {
    public let masters: ParameterStore
    /// Nil where `data.text` is pre-trained on or evaluated instead.
    public let prompts: (any PromptSource)?
    public let rewards: WeightedRewards?
    /// What `train` learns from instead of sampling, where `data.trajectories` is given.
    public let recorded: [RecordedGroup]?
    public let text: (train: TokenStream, heldOut: TokenStream?)?
    /// What is pre-trained on.
    public let sequences: (any SequenceSource)?
    /// What the files held that data was read from.
    public let inputs: InputDigests
    /// What is allowed but probably not meant, one line each with the remedy.
    public let warnings: [String]
  }

  /// Reads weights, prompts, rewards, recorded trajectories and text, and looks at every row. Local: every rank reads the
  /// same.
  ///
  /// - Parameter blank: as for `masters`.
  public func materials(for phase: RunPhase, weights path: String?, blank: Bool = false) throws -> Materials {
    var inputs = InputDigests()
    try inputs.readTokenizer(configuration.data)
    let text = phase == .train ? nil : try text { inputs.add($0, of: .text) }
    let data = configuration.data
    let recorded =
      phase == .train
      ? try data.trajectories.map { path in try recordedGroups(path) { inputs.add($0, of: .trajectories) } } : nil
    try recorded.map { try RecordedRollouts.check($0, configuration) }
    // Recorded trajectories need no prompts, but can be evaluated on some.
    let needsPrompts = recorded == nil ? phase == .train || text == nil : data.task != nil || data.prompts != nil
    let use = phase == .pretrain ? PromptUse.demonstrations : .reinforcement
    let prompts = needsPrompts ? try prompts(for: use) { inputs.add($0, of: .prompts) } : nil
    let rewards = needsPrompts ? try rewards() : nil
    var warnings = recorded.map { RecordedGroup.warnings(about: $0) } ?? []
    if let prompts {
      let check = DataCheck(self, phase, rewards)
      warnings += try check.warnings(prompts)
      try check.check(prompts, isTrained: phase != .evaluate && recorded == nil)
      for task in try evaluationTasks() { try check.check(task.source, isTrained: false) }
    }
    if phase == .evaluate, text.map({ $0.heldOut == nil }) ?? (prompts?.heldOutCount == 0) {
      throw TrainingError(
        .configuration,
        "\(file): data.held_out \(configuration.data.heldOut) leaves nothing to evaluate on; set the share that the "
          + "weights were trained without")
    }
    return Materials(
      masters: try masters(weights: path, whole: phase == .evaluate, blank: blank), prompts: prompts,
      rewards: rewards, recorded: recorded, text: text,
      sequences: phase == .pretrain ? sequences(text, prompts) : nil, inputs: inputs, warnings: warnings)
  }

  private func recordedGroups(_ path: String, observe: ContentObserver) throws -> [RecordedGroup] {
    try TrajectoryFile.groups(
      at: URL(fileURLWithPath: path), tokenizer: tokenizer, vocabularySize: tokenizer.vocabularySize, observe: observe)
  }

  /// The sequences to pre-train on: `data.text` where given, otherwise demonstrations of the prompts.
  private func sequences(
    _ text: (train: TokenStream, heldOut: TokenStream?)?, _ prompts: (any PromptSource)?
  ) -> (any SequenceSource)? {
    if let text {
      let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
      return TextSequences(stream: text.train, length: length, seed: configuration.rl.seed)
    }
    return prompts.map { DemonstrationSequences(prompts: $0, tokenizer: tokenizer, configuration: configuration) }
  }
}
