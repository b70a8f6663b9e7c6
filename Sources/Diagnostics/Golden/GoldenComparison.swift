import Configuration
import Exports
import Formats
import Foundation
import Layers
import Learning
import LowBit
import Models
import Objectives
import Parallelism
import Parameters
import Rollouts
import Runs
import Tensors

/// Recomputes a golden case and compares every tensor with the expected one.
///
/// Latents are sampled and must equal the recorded latents. All other results are computed from the recorded latents, old
/// log-probabilities, noise levels and noisy bits, with fp32 gradient products. With expert parallelism, every rank computes
/// the forward passes, with mini-MoEs on their owners; rank 0 computes the losses, and every rank has all results.
public struct GoldenComparison {
  /// The comparison of one tensor or loss.
  public struct Row: Sendable {
    public let name: String
    /// Maximum absolute difference, relative difference of norms, or number of unequal elements.
    public let error: Double
    public let tolerance: Double
    /// `absolute`, `relative` or `equal`.
    public let measure: String
    public var passed: Bool { error <= tolerance }
  }

  public private(set) var rows: [Row] = []
  /// The computed tensors under the names of the expected file, and the losses as `loss.<name>`.
  public private(set) var results: [String: SafetensorsTensor] = [:]
  private let golden: GoldenCase
  private let exact: Bool

  /// Computes the case on `context`. Collective.
  public init(_ golden: GoldenCase, _ topology: Topology, _ context: Context) throws {
    self.golden = golden
    let formats = golden.precision.resolved()
    exact = [formats.overseer, formats.attention, formats.diffusion, formats.experts, formats.agents, formats.head]
      .allSatisfy { $0 == .fp32 }
    let model = try QuillanModel(golden.model, golden.precision)
    let masters = try WeightsFile.load(
      golden.weights, for: model, holding: topology.ownership.held(in: model.table))
    let trajectories = try golden.rewards.indices.map { try trajectory($0, model) }
    var configuration = RunConfiguration()
    configuration.rl.useMixedPrecision = false
    // Sums of one rank's gradients and zeros: reproducible sums would round them.
    configuration.parallel.reproducible = false
    let learner = Learner(configuration, model, masters: masters, topology: topology, context)
    try forward(trajectories, model, learner.experts, learner.weights, context)
    try losses(trajectories, learner)
    for name in golden.expected.tensors.keys.sorted() where results[name] == nil {
      rows.append(Row(name: name, error: .infinity, tolerance: 0, measure: "not computed"))
    }
  }

  public var passed: Bool { rows.allSatisfy(\.passed) }

  private func trajectory(_ index: Int, _ model: QuillanModel) throws -> Trajectory {
    let name = "trajectory.\(index)"
    let tokens = try golden.expected.integers("\(name).tokens")
    let mask = try golden.expected.bytes("\(name).mask").map { $0 != 0 }
    let old = try golden.expected.floats("\(name).old_logp")
    guard tokens.count == mask.count, old.count == mask.count else {
      throw GoldenCaseError(path: golden.expected.path, problem: "\(name) has tensors of different lengths")
    }
    guard tokens.allSatisfy({ $0 >= 0 && Int($0) < model.configuration.vocabSize }) else {
      throw GoldenCaseError(path: golden.expected.path, problem: "\(name).tokens has ids outside the vocabulary")
    }
    guard (1...model.configuration.maxSeqLen).contains(tokens.count) else {
      throw GoldenCaseError(
        path: golden.expected.path,
        problem: "\(name) has \(tokens.count) tokens, but model.max_seq_len is \(model.configuration.maxSeqLen)")
    }
    guard (1..<max(2, tokens.count)).contains(golden.promptLength) else {
      throw GoldenCaseError(
        path: golden.expected.path,
        problem: "prompt_length \(golden.promptLength) is not between 0 and the \(tokens.count) tokens of \(name)")
    }
    guard mask[0] == false, mask.contains(true) else {
      throw GoldenCaseError(
        path: golden.expected.path, problem: "\(name).mask marks the first token or no token")
    }
    let latents = model.diffusion == nil ? [] : try bits("\(name).latents", tokens.count, model)
    return Trajectory(
      id: UInt64(index), promptID: 0, promptLength: golden.promptLength, tokens: tokens, mask: mask,
      latents: latents,
      logProbabilities: mask.indices.filter { mask[$0] }.map { old[$0] }, finished: true)
  }

  /// A recorded tensor of packed bits with `model.latentBytes` bytes for each of `count` positions.
  private func bits(_ name: String, _ count: Int, _ model: QuillanModel) throws -> [UInt8] {
    let bytes = try golden.expected.bytes(name)
    guard bytes.count == count * model.latentBytes else {
      throw GoldenCaseError(
        path: golden.expected.path,
        problem: "\(name) has \(bytes.count) bytes; \(count) positions need \(count * model.latentBytes)")
    }
    return bytes
  }

  /// The recorded noise levels of a trajectory, 1 … diffusion_steps.
  private func levels(_ name: String, _ count: Int, _ model: QuillanModel) throws -> [Int32] {
    let levels = try golden.expected.integers(name)
    let highest = Int32(model.configuration.diffusionSteps)
    guard levels.count == count, levels.allSatisfy({ $0 >= 1 && $0 <= highest }) else {
      throw GoldenCaseError(
        path: golden.expected.path, problem: "\(name) does not have \(count) levels from 1 to \(highest)")
    }
    return levels
  }

  /// Computes and compares activations, logits, log-probabilities and values of each trajectory separately.
  private mutating func forward(
    _ trajectories: [Trajectory], _ model: QuillanModel, _ experts: ExpertGroup?, _ weights: PackedModel,
    _ context: Context
  ) throws {
    for (index, trajectory) in trajectories.enumerated() {
      try context.arena.scoped {
        let name = "trajectory.\(index)"
        let length = trajectory.tokens.count
        let prefix = model.prefix(TokenBatch(sequences: [trajectory.tokens], in: context.arena), weights, context)
        add(name + ".tokens", [length], integers: trajectory.tokens)
        add(name + ".mask", [length], bytes: trajectory.mask.map { $0 ? 1 : 0 })
        add(name + ".old_logp", [length], try golden.expected.floats("\(name).old_logp"), tolerance: 0)
        add(name + ".coordination", prefix.coordination)
        if let diffusion = model.diffusion {
          let sampled = context.arena.view(UInt8.self, trajectory.latents.count)
          let identities = (0..<length).map {
            ReasoningDiffusion.Identity(
              sequence: $0 < trajectory.promptLength ? trajectory.promptID : trajectory.id, position: UInt32($0))
          }
          diffusion.sample(
            prefix.xContext, identities: identities, seed: golden.seed, weights, into: sampled, context)
          add(name + ".latents", [length, model.latentBytes], bytes: Array(sampled))
        }
        let pass = model.trunk(
          prefix, latents: model.diffusion == nil ? nil : context.arena.view(of: trajectory.latents),
          exchange: experts?.exchange, retention: .everything, weights, context)
        try experts?.check()
        add(name + ".after_latents", pass.afterLatents)
        for (layer, saved) in pass.layers.enumerated() {
          add(name + ".layers.\(layer).after_attention", saved.afterAttention)
          add(name + ".layers.\(layer).after_moe", pass.states[layer + 1])
          let topK = model.configuration.miniMoeTopK
          add(
            name + ".layers.\(layer).mini_moe_index", [length, topK],
            integers: Array(saved.chosen))
        }
        let logits = context.arena.matrix(length, model.configuration.vocabSize)
        let lane = ForwardLane(weights, context.main)
        let distribution = model.head.forward(
          model.head.input(pass.hidden, lane), targets: context.arena.view(of: trajectory.tokens.dropFirst() + [-1]),
          temperature: Float(golden.objective.temperature), keep: logits, lane)
        add(name + ".logits", logits)
        let logp = (0..<length).map { $0 == 0 ? 0 : distribution.logProbability[$0 - 1] }
        add(name + ".logp", [length], logp, tolerance: exact ? 1e-4 : 1e-3)
        add(name + ".value", [length], model.values(pass.hidden, weights), tolerance: exact ? 1e-4 : 1e-3)
      }
    }
  }

  /// Computes and compares the losses of the group and all gradients. Rank 0 has the group; the others take part with their mini-MoEs.
  private mutating func losses(_ trajectories: [Trajectory], _ learner: Learner) throws {
    let model = learner.model
    let counts = BatchCounts(
      groups: 1, generatedTokens: trajectories.reduce(0) { $0 + $1.logProbabilities.count })
    var configuration = RunConfiguration()
    configuration.rl.objective = golden.objective
    let group = TrajectoryGroup(id: 0, trajectories: trajectories, rewards: golden.rewards)
    var units = try Trainer.units(
      [StepGroup(group)], counts, objective: golden.objective, configuration, isReproducible: false)
    // The case is one micro-batch, whatever its size.
    units[0].microBatches = [Array(units[0].microBatches.joined())]
    var recorded: ReasoningDiffusion.LossInput?
    if let diffusion = model.diffusion {
      var input = ReasoningDiffusion.LossInput()
      for (index, trajectory) in trajectories.enumerated() {
        let name = "trajectory.\(index)"
        let targets = diffusion.targetBits(
          trajectory.tokens, embedding: learner.masters.rows(model.embedding))
        let noise = diffusion.noise(targets, sequence: trajectory.id, seed: golden.seed)
        let shape = [trajectory.tokens.count, model.latentBytes]
        add(name + ".target_bits", shape, bytes: targets)
        add(name + ".tau", [trajectory.tokens.count], integers: noise.levels)
        add(name + ".noisy", shape, bytes: noise.noisy)
        input.targets += targets
        input.levels += try levels("\(name).tau", trajectory.tokens.count, model)
        input.noisy += try bits("\(name).noisy", trajectory.tokens.count, model)
      }
      recorded = input
    }
    let isFirst = learner.communicator.rank == 0
    let step = OptimizationStep(
      learner, RecordedNoiseObjective(policy: PolicyObjective(golden.objective), input: recorded), configuration,
      rateKey: "rl.learning_rate")
    let totals = try step.run(isFirst ? units : [], step: 1)
    let terms = totals.records.reduce(into: ObjectiveTerms()) { $0 += $1.terms }
    let gradients = learner.reducer.gradients
    let values = [
      "total": terms.total(golden.objective), "policy": terms.policy, "entropy": terms.entropy, "aux": terms.aux,
      "diffusion": terms.diffusion, "value": terms.value,
    ]
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      results["loss.\(name)"] = SafetensorsTensor(name: "loss.\(name)", shape: [], floats: [Float(value)])
      if let expected = golden.losses[name] {
        rows.append(
          Row(
            name: "loss.\(name)", error: abs(value - expected), tolerance: exact ? 1e-5 : 1e-4, measure: "absolute"))
      }
    }
    for id in model.table.ids where model.table[id].role != .balanceBias {
      let own = gradients.holds(id) ? Array(gradients.values(id)) : []
      let values =
        try learner.topology.ownership.owner(of: model.table[id]).map {
          try learner.topology.expertGroup.allGatherv(own)[$0]
        } ?? own
      addGradient("grad." + model.table[id].name, model.table[id].shape, values)
    }
  }

  private mutating func add(_ name: String, _ matrix: Matrix) {
    add(name, [matrix.rows, matrix.columns], matrix.array, tolerance: exact ? 1e-4 : 1e-3)
  }

  private mutating func add(_ name: String, _ shape: [Int], _ values: [Float], tolerance: Double) {
    results[name] = SafetensorsTensor(name: name, shape: shape, floats: values)
    compare(name, shape, "absolute", tolerance) { file in
      let expected = try file.floats(name)
      guard expected.count == values.count else { return .infinity }
      return zip(values, expected).reduce(0.0) { largest, pair in
        let difference = abs(Double(pair.0) - Double(pair.1))
        return difference.isNaN ? .infinity : max(largest, difference)
      }
    }
  }

  private mutating func addGradient(_ name: String, _ shape: [Int], _ values: [Float]) {
    results[name] = SafetensorsTensor(name: name, shape: shape, floats: values)
    compare(name, shape, "relative", exact ? 1e-4 : 5e-3) { file in
      let expected = try file.floats(name)
      guard expected.count == values.count else { return .infinity }
      var difference = 0.0
      var norm = 0.0
      for (mine, theirs) in zip(values, expected) {
        difference += (Double(mine) - Double(theirs)) * (Double(mine) - Double(theirs))
        norm += Double(theirs) * Double(theirs)
      }
      let error = norm > 0 ? (difference / norm).squareRoot() : difference.squareRoot()
      return error.isNaN ? .infinity : error
    }
  }

  private mutating func add(_ name: String, _ shape: [Int], integers: [Int32]) {
    results[name] = SafetensorsTensor(name: name, dataType: .int32, shape: shape, elements: integers)
    compare(name, shape, "equal", 0) { file in
      let expected = try file.integers(name)
      guard expected.count == integers.count else { return .infinity }
      return Double(zip(integers, expected).filter { $0 != $1 }.count)
    }
  }

  private mutating func add(_ name: String, _ shape: [Int], bytes: [UInt8]) {
    results[name] = SafetensorsTensor(name: name, dataType: .uint8, shape: shape, elements: bytes)
    compare(name, shape, "equal", 0) { file in
      let expected = try file.bytes(name)
      guard expected.count == bytes.count else { return .infinity }
      return Double(zip(bytes, expected).filter { $0 != $1 }.count)
    }
  }

  /// Records the error if the expected file has the tensor; a tensor with a different shape or type fails.
  private mutating func compare(
    _ name: String, _ shape: [Int], _ measure: String, _ tolerance: Double, _ error: (SafetensorsFile) throws -> Double
  ) {
    guard let entry = golden.expected.tensors[name] else { return }
    let value = entry.shape == shape ? (try? error(golden.expected)) ?? .infinity : .infinity
    rows.append(Row(name: name, error: value, tolerance: tolerance, measure: measure))
  }
}

/// The policy loss with the noise that a case recorded.
private struct RecordedNoiseObjective: SequenceObjective {
  let policy: PolicyObjective
  let input: ReasoningDiffusion.LossInput?

  var temperature: Float { policy.temperature }

  func diffusionInput(_ sequences: [TrainingSequence], _ learner: Learner) -> ReasoningDiffusion.LossInput? { input }

  func evaluate(
    _ sequence: TrainingSequence, _ signals: SequencePass.Signals, into gradients: SequencePass.Gradients
  ) -> PolicyObjective.Terms { policy.evaluate(sequence, signals, into: gradients) }

  func add(
    _ result: SequenceResult<PolicyObjective.Terms>, of sequence: TrainingSequence, to record: inout TrajectoryRecord
  ) { policy.add(result, of: sequence, to: &record) }

  func checkedLoss(_ records: [TrajectoryRecord]) -> CheckedLoss { policy.checkedLoss(records) }
}

extension SafetensorsFile {
  /// A tensor of type I32.
  func integers(_ name: String) throws -> [Int32] { try elements(name, .int32) }

  /// A tensor of type U8.
  func bytes(_ name: String) throws -> [UInt8] { try elements(name, .uint8) }

  private func elements<Element: FixedWidthInteger & BitwiseCopyable>(
    _ name: String, _ type: SafetensorsDataType
  ) throws -> [Element] {
    let entry = try entry(name)
    guard entry.dataType == type else {
      throw SafetensorsError(
        code: .mismatch, path: path, tensor: name, problem: "has type \(entry.dataType.rawValue)",
        remedy: "store it as \(type.rawValue)")
    }
    return try withBytes(of: name) { bytes in
      [Element](unsafeUninitializedCapacity: entry.elementCount) { target, count in
        UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
        count = entry.elementCount
      }
    }
  }
}
