import Configuration
import Errors
import Layers
import LowBit
import Models
import MPI
import Objectives
import Optimizers
import Parallelism
import Parameters
import Rollouts
import Telemetry
import Tensors

/// GRPO with DAPO's options, on any number of ranks. `step` is the complete method.
///
/// Groups, trajectories and prompts have global numbers. Ranks sample about equally many trajectories and train on about
/// equally many tokens, whichever groups they belong to. All ranks must call the same methods in the same order.
public final class Trainer {
  public let configuration: RunConfiguration
  public let learner: Learner
  public let tokenizer: any Tokenizer
  /// Number of completed optimizer steps, including steps with a skipped update.
  public private(set) var stepCount = 0
  /// The source of groups.
  package let source: any RolloutSource
  /// Draws prompts by their difficulty; nil without `data.sampler`.
  package let curriculum: PromptCurriculum?
  /// The number of the next group to draw.
  var nextGroup = 0
  /// The groups of the remaining steps of the last rollout, in order of their numbers.
  package var waiting: [[StepGroup]] = []
  /// The summary of the last rollout, until the first step on it reports the summary.
  package var collected: RolloutSummary?
  /// π_old, complete on every rank. If every update publishes π_old, this is the learner's replica.
  package let oldPolicy: PackedModel
  /// The replica of π_old, if π_old can be older than the current weights.
  let oldReplica: PolicyReplica?
  /// The cost of the last publication, until a step reports it.
  var publication: PolicyReplica.Publication?
  /// The age of π_old in updates.
  package var updatesSincePublication = 0
  /// Whether the resumed checkpoint stores no π_old, because π_old equalled the packed masters.
  package var lacksOldPolicy = false
  package let reference: PackedModel?
  private let schedule: LearningRateSchedule
  private(set) var objective: ObjectiveConfiguration
  private var idle = 0
  /// Scales the learning rate by the divergence of updates.
  var trust: TrustRegion
  /// Keeps the best weights; nil without `rl.guard`.
  package let bestPolicy: PolicyGuard?

  var model: QuillanModel { learner.model }
  package var communicator: Communicator { learner.communicator }
  package var context: Context { learner.context }

  /// Samples completions of prompts and scores them. Collective, because it publishes π_old.
  ///
  /// - Throws: `RewardError`.
  public convenience init(
    configuration: RunConfiguration, learner: Learner, prompts: any PromptSource, tokenizer: any Tokenizer,
    rewards: WeightedRewards
  ) throws {
    let source = try PromptRollouts(
      configuration: configuration, model: learner.model, prompts: prompts, tokenizer: tokenizer, rewards: rewards)
    try self.init(configuration: configuration, learner: learner, tokenizer: tokenizer, source: source)
  }

  /// Trains on recorded trajectories. Collective, because it publishes π_old.
  ///
  /// - Throws: `TrainingError` if a sequence is too long.
  public convenience init(
    configuration: RunConfiguration, learner: Learner, recorded: [RecordedGroup], tokenizer: any Tokenizer
  ) throws {
    let source = try RecordedRollouts(
      configuration: configuration, model: learner.model, tokenizer: tokenizer, groups: recorded)
    try self.init(configuration: configuration, learner: learner, tokenizer: tokenizer, source: source)
  }

  private init(
    configuration: RunConfiguration, learner: Learner, tokenizer: any Tokenizer, source: any RolloutSource
  ) throws {
    let rl = configuration.rl
    self.configuration = configuration
    self.learner = learner
    self.tokenizer = tokenizer
    self.source = source
    curriculum = (source as? PromptRollouts)?.curriculum
    schedule = LearningRateSchedule(peak: rl.learningRate, warmupSteps: rl.warmupSteps, totalSteps: rl.numEpochs)
    objective = configuration.objective
    trust = TrustRegion(target: rl.targetKL)
    bestPolicy = rl.guardFall > 0 ? PolicyGuard(fall: rl.guardFall, masters: learner.masters) : nil
    if rl.oldPolicyInterval > 1 {
      let replica = PolicyReplica(learner.model.makePackedModel(), topology: learner.topology)
      publication = try replica.publish(learner.weights)
      oldPolicy = replica.weights
      oldReplica = replica
    } else {
      (oldPolicy, publication) = try learner.wholeWeights()
      oldReplica = nil
    }
    if configuration.objective.klCoef != 0 {
      let frozen = learner.model.makePackedModel()
      frozen.copy(from: oldPolicy)
      reference = frozen
    } else {
      reference = nil
    }
  }

  /// One optimizer step: rollout, rewards, advantages, forward, objective, backward, reduce, update, publish.
  ///
  /// A rollout provides the groups of `rl.ppo_epochs` · `rl.mini_batches` steps; only the first of these steps draws.
  public func step() throws -> StepReport {
    guard let report = try step(leaving: { false }) else {
      preconditionFailure("step(leaving:) returned nil although `leaving` is always false")
    }
    return report
  }

  /// As `step()`, but returns nil after the rollout if `leaving` is true; the next call then trains on those rollouts.
  /// Also returns nil if the run is asked to stop while dynamic sampling replaces groups.
  public func step(leaving: () throws -> Bool) throws -> StepReport? {
    var clock = PhaseClock()
    if waiting.isEmpty {
      guard let rollouts = try FlightRecorder.phase("rollout", nil, "", { try rollOut() }) else { return nil }
      collected = rollouts
    }
    clock.lap("rollout")
    if try leaving() { return nil }
    let groups = waiting.removeFirst()
    var report = try train(groups)
    clock.lap("train")
    if isBetweenRollouts, isPublicationDue { try updateOldPolicy() }
    clock.lap("publish")
    if let cost = publication.take(), cost.codes > 0 {
      report.metrics["publication/bytes"] = Double(cost.bytes)
      report.metrics["publication/changed_share"] = cost.changedShare
    }
    if let collected {
      try collected.describe(&report, communicator, origin: source.origin)
      if let curriculum {
        report.metrics.merge(curriculum.metrics) { $1 }
        report.prompts?.draws = curriculum.draws
      }
    }
    collected = nil
    try report.add(clock, tokens: groups.reduce(0) { $0 + $1.tokens }, communicator)
    return report
  }

  /// Draws the groups of the next steps; returns nil if the run is asked to stop meanwhile. Collective.
  private func rollOut() throws -> RolloutSummary? {
    do { return try collectRollouts() } catch let error as SamplingError {
      throw TrainingError(.failure, "step \(stepCount + 1): \(error) and a lower rl.learning_rate")
    }
  }

  /// Samples complete groups of step `step` from π_old and scores them, without dynamic sampling. Local: each rank
  /// samples a consecutive share of the groups, which is empty on some if there are more ranks than groups.
  public func sampleGroups(step: Int) throws -> RolloutBatch {
    let count = configuration.rl.batchSize * configuration.rl.miniBatches
    let share = Share(of: count, rank: communicator.rank, size: communicator.size)
    let numbers = share.range.map { step * count + $0 }
    let part = try source.sample(source.items(numbers).items, policy: oldPolicy, context)
    return RolloutBatch(part, source.groups(numbers, part.members.map(\.outcome)))
  }

  /// Whether the next step begins with a rollout. If it does, `state` and the weights are the complete state.
  public var isBetweenRollouts: Bool { waiting.isEmpty }

  /// Runs one step on scored groups; the batch is the groups of all ranks, which divide the work among themselves.
  /// Collective.
  ///
  /// - Throws: `TrainingError` on every rank if a loss or gradient is not finite, unless such updates are skipped.
  public func trainStep(_ groups: [TrajectoryGroup]) throws -> StepReport { try train(divided(groups)) }

  /// Runs one step on divided groups, which are in order of their numbers. Collective.
  private func train(_ groups: [StepGroup]) throws -> StepReport {
    guard let counts = BatchCounts(groups) else { return emptyStep() }
    let policy = PolicyObjective(objective, reference: reference, seed: configuration.rl.seed)
    let step = OptimizationStep(learner, policy, configuration, rateKey: "rl.learning_rate")
    let norms = try measuredNorms(groups, counts)
    let totals = try step.run(units(groups, counts), step: stepCount + 1)
    let records = try GroupRecord.of(groups, objective, counts, totals.records)
    var report = StepReport(
      step: stepCount, records: records, objective: objective, norm: totals.norm,
      learningRate: learningRate)
    report.metrics.merge(norms) { $1 }
    report.metrics.merge(learner.loadMetrics) { $1 }
    report.loads = RoutingSnapshot(learner.loads)
    if updatesSincePublication == 0, source.hasExactLogProbabilities {
      let difference = records.map(\.statistics.logRatioMaximum).max() ?? 0
      report.metrics["rollout/logp_abs_diff_max"] = difference
      if configuration.debug.assertExact, difference != 0 { throw inexact(difference, records) }
    }
    if let problem = totals.problem {
      report.warning = try step.skip(problem, step: stepCount + 1)
      report.metrics["skipped_updates"] = Double(learner.skippedUpdates)
    }
    if records.contains(where: \.teaches) {
      if totals.problem == nil {
        try step.update(totals, learningRate: report.learningRate, step: stepCount + 1)
        updatesSincePublication += 1
        try limitDivergence(groups, &report)
      }
      adaptEntropy(&report)
    } else {
      let reason =
        records.allSatisfy(\.isUniform)
        ? "the rewards of each group are equal" : "no token to train on has an advantage"
      stayIdle(reason, &report)
    }
    stepCount += 1
    return report
  }

  /// A step without a group to train on: no update, not even by momentum and decay.
  private func emptyStep() -> StepReport {
    var report = StepReport(
      step: stepCount, records: [], objective: objective, norm: 0, learningRate: learningRate)
    report.metrics = ["learning_rate": report.learningRate]
    stayIdle("no group can be trained on", &report)
    stepCount += 1
    return report
  }

  /// Counts a step without any advantage, which applies no update. Without an advantage, the other terms (entropy,
  /// balance, diffusion, value, KL), momentum and decay would only move the policy away from what it has learned.
  private func stayIdle(_ reason: String, _ report: inout StepReport) {
    idle += 1
    report.metrics["idle_updates"] = Double(idle)
    if configuration.rl.entropyTarget > 0 { report.metrics["entropy_coef"] = objective.entropyCoef }
    guard report.warning == nil, idle.nonzeroBitCount == 1 else { return }
    report.warning =
      "step \(stepCount + 1): \(reason), so the update changes nothing"
      + (idle > 1 ? " (\(idle) such updates so far)" : "")
  }

  /// The learning rate of the next update: the schedule's, scaled by the trust region and the guard.
  private var learningRate: Double {
    schedule.learningRate(at: stepCount) * trust.scale * (bestPolicy?.rateScale ?? 1)
  }

  /// Moves the entropy coefficient so that the entropy approaches its target: an integral controller, as in Skywork-OR1
  /// (He et al., arXiv:2505.22312, section 4.2) without its gate.
  private func adaptEntropy(_ report: inout StepReport) {
    let rl = configuration.rl
    guard rl.entropyTarget > 0 else { return }
    report.metrics["entropy_coef"] = objective.entropyCoef
    // Entropy is undefined without a token in the loss.
    guard let entropy = report.metrics["entropy"], entropy.isFinite else { return }
    let step = entropy < rl.entropyTarget ? rl.entropyDelta : -rl.entropyDelta
    objective.entropyCoef = min(max(0, objective.entropyCoef + step), rl.entropyCoefMax)
  }

  /// The state that a resumed run needs in addition to weights, optimizer state and π_old. Set it only between
  /// rollouts.
  public var state: TrainerState {
    get {
      var state = TrainerState()
      state.steps = stepCount
      state.nextGroup = nextGroup
      state.skippedUpdates = learner.skippedUpdates
      state.idleUpdates = idle
      state.updatesSincePublication = updatesSincePublication
      state.entropyCoef = objective.entropyCoef
      state.rateScale = trust.scale
      state.best = bestPolicy?.state ?? PolicyGuard.State()
      return state
    }
    set {
      precondition(isBetweenRollouts, "set the state of a trainer only between rollouts")
      stepCount = newValue.steps
      nextGroup = newValue.nextGroup
      learner.skippedUpdates = newValue.skippedUpdates
      idle = newValue.idleUpdates
      updatesSincePublication = newValue.updatesSincePublication
      objective.entropyCoef = newValue.entropyCoef
      if trust.target > 0 { trust.scale = newValue.rateScale }
      bestPolicy?.state = newValue.best
    }
  }

  /// Whether π_old may differ from the current weights when a rollout begins.
  package var keepsOldPolicy: Bool { oldReplica != nil }

  /// Clears the replica of π_old, so that it is equal on all ranks before it is read or published.
  package func forgetOldPolicy() { oldReplica?.clear() }

  /// Publishes the current weights as π_old. Collective.
  public func updateOldPolicy() throws {
    try FlightRecorder.phase("publication") {
      if let oldReplica {
        publication = try oldReplica.publish(learner.weights)
      } else if let new = try learner.wholeWeights().publication {
        publication = new
      }
    }
    updatesSincePublication = 0
  }

  private func inexact(_ difference: Double, _ records: [GroupRecord]) -> TrainingError {
    let group = records.first { $0.statistics.logRatioMaximum == difference }.map(\.group) ?? 0
    return TrainingError(
      .failure, isAgreed: true,
      "step \(stepCount + 1): rollout and training log-probabilities differ by \(difference) in group \(group) "
        + "although the weights are the same (debug.assert_exact); this is a defect: please report it with config.yaml")
  }
}
