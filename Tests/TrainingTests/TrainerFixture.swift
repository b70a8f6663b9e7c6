import Foundation
import LowBit
import MPI
import Models
import Parameters
import Rollouts
import Synchronization
import Training

/// A run small enough for tests, with every part of the model and every quantised format.
struct TinyRun {
  var configuration: RunConfiguration
  var threads = 1
  /// Instead of the configured rewards; initial weights answer nothing right, and equal rewards teach nothing.
  var rewards: WeightedRewards?
  /// Whether every rank passes for a machine of its own.
  var isSpread = false

  /// - Throws: `RewardError`, never; `MPIError` where MPI does not start.
  init(_ change: (inout RunConfiguration) -> Void = { _ in }) throws {
    var result = RunConfiguration()
    result.model = Self.model(vocabulary: 259)
    result.rl.batchSize = try Ranks.groups()
    result.rl.numTrajectories = 4
    result.rl.objective.maxTrajectoryLen = 5
    result.rl.objective.advantage = .standardized
    result.rl.learningRate = 3e-3
    result.rl.warmupSteps = 2
    result.rl.numEpochs = 20
    result.pretrain.batchSize = 20
    result.pretrain.steps = 5
    result.pretrain.warmupSteps = 0
    result.pretrain.learningRate = 3e-3
    result.pretrain.sequenceLength = 16
    result.data.task = TaskConfiguration()
    result.data.tokenizer = .byte
    result.data.maxPromptLen = 16
    // Of runs that take their rewards from the configuration: differs between random completions.
    result.data.rewards[0].name = .format
    result.data.rewards[0].pattern = "[a-zA-Z]"
    change(&result)
    configuration = result
    rewards = try WeightedRewards([WeightedRewards.Term(ArbitraryReward())])
  }

  static func model(vocabulary: Int) -> ModelConfiguration {
    var model = ModelConfiguration(dim: 16)
    model.vocabSize = vocabulary
    model.numLayers = 2
    model.numHeads = 2
    model.numMiniMoes = 3
    model.numExpertsPerMini = 3
    model.expertDim = 32
    model.maxSeqLen = 24
    model.numMicrosPerMini = 4
    model.microTopK = 2
    model.microAgentDim = 8
    model.overseerDim = 32
    model.diffusionDim = 16
    model.diffusionBlocks = 1
    model.diffusionSteps = 4
    model.diffusionInferenceSteps = 2
    model.latentHorizon = 3
    model.int4Group = 16
    return model
  }

  func assembly(_ communicator: Communicator) throws -> RunAssembly {
    try RunAssembly(configuration, file: "tiny.yaml", threads: threads, communicator: communicator)
  }

  private func learner(_ assembly: RunAssembly, _ masters: ParameterStore) throws -> Learner {
    let communicator = assembly.communicator
    return try assembly.learner(
      masters, machine: isSpread ? communicator.split(color: communicator.rank, key: 0) : nil)
  }

  /// A trainer of initial weights, which `prepare` may change.
  func trainer(_ communicator: Communicator, prepare: (ParameterStore) -> Void = { _ in }) throws -> Trainer {
    let assembly = try assembly(communicator)
    let masters = try assembly.masters()
    prepare(masters)
    return try Trainer(
      configuration: configuration, learner: try learner(assembly, masters), prompts: assembly.prompts(),
      tokenizer: assembly.tokenizer, rewards: rewards ?? assembly.rewards())
  }

  func pretrainer(_ communicator: Communicator, prepare: (ParameterStore) -> Void = { _ in }) throws -> Pretrainer {
    let assembly = try assembly(communicator)
    let masters = try assembly.masters()
    prepare(masters)
    return Pretrainer(
      configuration: configuration, learner: try learner(assembly, masters),
      source: DemonstrationSequences(
        prompts: try assembly.prompts(), tokenizer: assembly.tokenizer, configuration: configuration))
  }

  /// A trainer on one rank after some steps, with the reports of the steps.
  func trained(steps: Int) throws -> (trainer: Trainer, reports: [StepReport]) {
    let trainer = try trainer(Ranks.alone())
    var reports: [StepReport] = []
    for _ in 0..<steps { reports.append(try trainer.step()) }
    return (trainer, reports)
  }
}

/// A number in 0 ..< 1 that depends on nothing but the completion.
struct ArbitraryReward: Reward {
  let name = "arbitrary"

  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    var fingerprint = Fingerprint()
    for byte in completion.utf8 { fingerprint.add(UInt64(byte)) }
    return Double(UInt64(bitPattern: fingerprint.value) % 1000) / 1000
  }
}

/// Communicators for tests: one of all ranks, and of each rank alone.
///
/// Tests of one process run beside each other, so each has communicators of its own.
enum Ranks {
  private struct Base: @unchecked Sendable {
    let world: Communicator
    let alone: Communicator
  }

  /// Something else than MPI went wrong.
  struct Failure: Error {}

  private static let base = Result {
    let world = try MPI.Environment.initialize()
    atexit { try? MPI.Environment.finalize() }
    guard let alone = try world.split(color: world.rank, key: 0) else { throw Failure() }
    return Base(world: world, alone: alone)
  }
  private static let lock = Mutex(())

  /// All ranks. Collective.
  static func together() throws -> Communicator { try lock.withLock { _ in try base.get().world.duplicate() } }

  /// Groups of a step: at least one a rank, and not the same number on all ranks.
  static func groups() throws -> Int { try max(5, base.get().world.size + 1) }

  /// This rank alone.
  static func alone() throws -> Communicator { try lock.withLock { _ in try base.get().alone.duplicate() } }
}

/// A hash of bits (FNV-1a over 64-bit words): equal for equal bits, and for others almost never.
struct Fingerprint: Equatable {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  var value: Int64 { Int64(bitPattern: state) }

  mutating func add(_ word: UInt64) {
    state = (state ^ word) &* 0x100_0000_01b3
    state ^= state >> 29
  }

  mutating func add(_ group: TrajectoryGroup) {
    add(group.id)
    for reward in group.rewards { add(reward.bitPattern) }
    for trajectory in group.trajectories {
      add(trajectory.id)
      add(trajectory.promptID)
      for token in trajectory.tokens { add(UInt64(bitPattern: Int64(token))) }
      for flag in trajectory.mask { add(flag ? 1 : 0) }
      for byte in trajectory.latents { add(UInt64(byte)) }
      for value in trajectory.logProbabilities { add(UInt64(value.bitPattern)) }
      add(trajectory.finished ? 1 : 0)
    }
  }

  static func of(_ store: ParameterStore) -> Fingerprint {
    var result = Fingerprint()
    for id in store.held { for value in store.values(id) { result.add(UInt64(value.bitPattern)) } }
    return result
  }

  /// Of every tensor's weights and moments, on whichever rank of the group they are. Collective.
  static func of(_ learner: Learner) throws -> [Int64] {
    let stores = [learner.masters, learner.firstMoments.values, learner.secondMoments.values].compactMap { $0 }
    let own = stores.flatMap { store in
      store.table.ids.map { id -> Int64 in
        guard store.holds(id) else { return .min }
        var result = Fingerprint()
        for value in store.values(id) { result.add(UInt64(value.bitPattern)) }
        return result.value
      }
    }
    return try learner.topology.expertGroup.allReduce(own, .maximum)
  }
}

extension Dictionary where Key == String, Value == Double {
  /// The bits of every metric that is no time and does not tell what travelled, except those named.
  func bits(without names: Set<String> = []) -> [String: UInt64] {
    let times = ["step_time", "tokens_per_second", "memory/peak_bytes"]
    return filter {
      !$0.key.hasPrefix("publication/") && !names.contains($0.key) && !times.contains($0.key)
        && !$0.key.hasPrefix("time/")
    }
    .mapValues(\.bitPattern)
  }
}
