import Layers
import LowBit
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Telemetry
import Tensors

/// A model in training on this rank: masters, packed weights, gradients, optimizer state and routing loads.
///
/// A rank holds the replicated parameters and the mini-MoEs that it owns (`topology.ownership`). A step calls `begin`,
/// accumulates gradients of any number of units, then calls `reduce` and `update`.
public final class Learner {
  public let model: QuillanModel
  public let masters: ParameterStore
  /// The packed masters that this rank holds; training forward passes read them.
  public let weights: PackedModel
  /// Expert parallelism; nil if every rank holds all mini-MoEs.
  public let experts: ExpertGroup?
  public let reducer: GradientReducer
  public let loads: RoutingLoads
  public let context: Context
  public let topology: Topology
  /// Number of applied updates.
  public private(set) var updates = 0
  /// Number of updates skipped because a loss or gradient was not finite.
  package var skippedUpdates = 0
  /// AdamW's moments of the parts that this rank updates: all parts it holds or, with `optimizer.shard`, its share of
  /// them.
  public var firstMoments: MomentStore { optimizer.firstMoments }
  public var secondMoments: MomentStore { optimizer.secondMoments }
  /// Checks of debug mode; nil outside debug mode.
  package var observer: (any StepObserver)?
  /// Called before masters and moments change, so that background readers can finish.
  public var beforeUpdate: () throws(MPIError) -> Void = {}
  /// The moving average of the masters; nil without `rl.ema_decay`.
  package let average: WeightAverage?
  /// The complete model as last published; if this rank holds all parameters, the training weights themselves.
  private let replica: PolicyReplica
  private var replicaUpdates = -1
  private let optimizer: AdamWState
  /// Σ g² of each tensor. One rank of the expert group counts a tensor, the other ranks contribute 0, which changes no
  /// bit.
  private let squaredSums: SquaredSums
  /// Σ w² of each tensor of masters, after an update: a master that is not finite makes the sum of its tensor not
  /// finite.
  private let masterSums: SquaredSums
  /// Buffer of an all-reduce of a tensor index; allocated once.
  private let firstNonfinite = AlignedBuffer<Int>(count: 1)
  /// Nil unless optimizer state is split over the ranks that hold the same parameters.
  private let gathering: MasterGathering?

  /// All ranks.
  public var communicator: Communicator { topology.world }

  /// - Parameters:
  ///   - masters: the masters that this rank holds.
  ///   - state: the storage format of the moments.
  ///   - averageDecay: the decay of the moving average of the masters; 0: no average.
  ///   - sharded: whether optimizer state is split over the ranks that hold the same parameters.
  public init(
    model: QuillanModel, masters: ParameterStore, optimizer: AdamW, state: MomentFormat = .fp32,
    averageDecay: Double = 0,
    sharded: Bool, mixedPrecision: Bool, reproducible: Bool, topology: Topology, context: Context
  ) {
    precondition(masters.held == topology.ownership.held(in: model.table), "masters of another rank's parameters")
    self.model = model
    self.masters = masters
    average = averageDecay > 0 ? WeightAverage(decay: averageDecay, masters: masters) : nil
    gathering = sharded ? MasterGathering(masters, topology) : nil
    self.topology = topology
    self.context = context
    weights = model.makePackedModel(holding: masters.held)
    reducer = GradientReducer(
      model.table, order: model.gradientOrder, topology: topology, mixedPrecision: mixedPrecision,
      reproducible: reproducible, pool: context.pool)
    experts = ExpertGroup(topology, reducer)
    replica =
      topology.ownership.size == 1
      ? PolicyReplica(sharing: weights, topology: topology)
      : PolicyReplica(model.makePackedModel(), topology: topology)
    let (table, ownership) = (model.table, topology.ownership)
    squaredSums = SquaredSums(
      table,
      counting: masters.held.filter {
        table[$0].role != .balanceBias && (ownership.rank == 0 || ownership.owner(of: table[$0]) != nil)
      })
    masterSums = SquaredSums(table, counting: masters.held)
    loads = model.makeLoads()
    let parts = topology.optimizerParts(model.table, sharded: sharded)
    self.optimizer = AdamWState(
      optimizer, table: model.table, parts: parts, format: state, threads: context.pool.threads)
    model.pack(masters, into: weights, context)
  }

  /// Whether optimizer state is split over the ranks that hold the same parameters.
  public var isSharded: Bool { gathering != nil }

  /// Resumes after `updates` updates. The caller has already restored masters and moments.
  public func resume(updates: Int) {
    self.updates = updates
    replicaUpdates = -1
    model.pack(masters, into: weights, context)
  }

  /// The complete current model, packed: for sampling, evaluation and the initial copy of a frozen reference. Valid
  /// until the next update. Collective.
  public func wholeWeights() throws -> (weights: PackedModel, publication: PolicyReplica.Publication?) {
    guard replicaUpdates != updates else { return (replica.weights, nil) }
    let publication = try replica.publish(weights)
    replicaUpdates = updates
    return (replica.weights, publication)
  }

  /// Destination of the gradients of this rank's units.
  public var gradients: Gradients { reducer.unit }

  /// Destination of the last backward pass of a step; all-reduces start during that pass. In debug mode they start
  /// after the pass, because debug mode first checks the gradients of each rank.
  package func lastGradients() -> Gradients { observer == nil ? reducer.lastPassGradients() : gradients }

  /// Clears gradients and loads of the previous step.
  public func begin() {
    reducer.begin()
    loads.clear()
  }

  /// The reduced gradients of a step, before the update.
  public struct Reduced: Sendable {
    /// The global gradient norm, each parameter counted once.
    public let norm: Double
    /// The first tensor, in name order, with a gradient that is not finite.
    public let nonfinite: String?
  }

  /// The number of micro-batches of each unit of a step: the maximum of `counts` over the ranks of the expert group.
  /// Collective in the expert group.
  func agree(microBatches counts: [Int]) throws(MPIError) -> [Int] {
    guard let experts else { return counts }
    return try experts.agree(microBatches: counts)
  }

  /// Sums gradients and loads over the ranks and computes the gradient norm. Collective.
  public func reduce() throws(MPIError) -> Reduced {
    FlightRecorder.begin(ActivityLabel("gradients"))
    defer { FlightRecorder.end() }
    try experts?.check()
    try reducer.reduce()
    if communicator.size > 1 { try communicator.allReduce(loads.counts.bufferPointer, .sum) }
    squaredSums.take(from: reducer.gradients, pool: context.pool)
    if topology.ownership.size > 1 { try topology.expertGroup.allReduce(squaredSums.values.bufferPointer, .sum) }
    return Reduced(norm: squaredSums.norm, nonfinite: squaredSums.nonfinite)
  }

  /// Clips the gradients, applies AdamW to this rank's parts, moves the balance biases by the loads, and packs the new
  /// masters. Collective.
  ///
  /// - Returns: the first tensor, in name order, that is not finite after the update, equal on every rank. The masters
  ///   are then lost.
  @discardableResult
  public func update(norm: Double, learningRate: Double, maximumNorm: Double, balanceRate: Double) throws(MPIError)
    -> String?
  {
    FlightRecorder.begin(ActivityLabel("update"))
    defer { FlightRecorder.end() }
    try beforeUpdate()
    updates += 1
    let scale = Float(GradientNorm.clipScale(norm: norm, maximum: maximumNorm))
    optimizer.step(
      masters: masters, gradients: reducer.gradients, learningRate: learningRate, step: updates, clipScale: scale,
      pool: context.pool)
    try gathering?(masters)
    if balanceRate != 0 { moveBalanceBiases(balanceRate) }
    let spoilt = try nonfiniteMaster()
    if spoilt == nil {
      average?.add(masters, pool: context.pool)
      model.pack(masters, into: weights, context)
    }
    return spoilt
  }

  /// Replaces the masters by a copy, clears the first moments, and packs the masters. The second moments stay, because
  /// they state the scale of the gradients. Collective.
  package func replaceMasters(by copy: ParameterStore) throws(MPIError) {
    try beforeUpdate()
    masters.copy(from: copy)
    firstMoments.clear()
    average?.restart(from: masters)
    repack()
  }

  /// Packs masters that changed without an update.
  private func repack() {
    replicaUpdates = -1
    model.pack(masters, into: weights, context)
  }

  /// Runs `body` with the moving average in place of the masters; without an average, with the masters. Collective.
  package func withAveragedWeights<Result>(_ body: () throws -> Result) throws -> Result {
    guard let average else { return try body() }
    try beforeUpdate()
    average.exchange(with: masters)
    repack()
    let result = Swift.Result { try body() }
    average.exchange(with: masters)
    repack()
    // π_old can be this replica.
    if topology.ownership.size > 1 { _ = try wholeWeights() }
    return try result.get()
  }

  /// The first tensor of any rank, in name order, with masters that are not finite. Collective.
  private func nonfiniteMaster() throws(MPIError) -> String? {
    masterSums.take(from: masters, pool: context.pool)
    firstNonfinite.pointer[0] = masterSums.nonfinite.flatMap { model.table.id($0)?.index } ?? model.table.count
    if communicator.size > 1 { try communicator.allReduce(firstNonfinite.bufferPointer, .minimum) }
    let first = firstNonfinite.pointer[0]
    return first < model.table.count ? model.table[ParameterID(first)].name : nil
  }

  private func moveBalanceBiases(_ rate: Double) {
    func move(_ router: Router, _ counts: ArrayView<Int64>) {
      BalanceBias.update(biases: masters.rows(router.bias).vector, loads: counts, topK: router.topK, rate: rate)
    }
    for layer in model.layers { move(layer.router, loads.layer(layer.index)) }
    for index in topology.ownership.owned {
      let member = model.council.members[index]
      move(member.router, loads.experts(index))
      move(member.microRouter, loads.micros(index))
    }
  }

  /// For each routing level, the maximum load relative to the mean load of the same router, and the share of targets
  /// that no token chose.
  public var loadMetrics: [String: Double] {
    var result: [String: Double] = [:]
    func add(_ level: String, _ routers: [ArrayView<Int64>]) {
      var worst = 0.0
      var unused = 0
      var choices = 0
      for counts in routers {
        let total = counts.reduce(0, +)
        choices += counts.count
        unused += counts.count { $0 == 0 }
        if total > 0 { worst = max(worst, Double(counts.max() ?? 0) * Double(counts.count) / Double(total)) }
      }
      result["load/\(level)/max_over_mean"] = worst
      result["load/\(level)/unused"] = Double(unused) / Double(max(1, choices))
    }
    let members = model.council.members.indices
    add("mini_moes", model.layers.indices.map { loads.layer($0) })
    add("experts", members.map { loads.experts($0) })
    add("micro_agents", members.map { loads.micros($0) })
    return result
  }
}
