import Layers
import LowBit
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Telemetry
import Tensors

/// A model being trained on this rank: masters, their packing, gradients, optimizer state and routing loads.
///
/// A rank holds the replicated parameters and the mini-MoEs that it owns (`topology.ownership`). A step is `begin`, any
/// number of units that add gradients, `reduce`, `update`.
public final class Learner {
  public let model: QuillanModel
  public let masters: ParameterStore
  /// The packing of the current masters: what training forwards read. It holds what this rank holds.
  public let weights: PackedModel
  /// Expert parallelism; nil where every rank holds all mini-MoEs.
  public let experts: ExpertGroup?
  public let reducer: GradientReducer
  public let loads: RoutingLoads
  public let context: Context
  public let topology: Topology
  /// Updates done so far.
  public private(set) var updates = 0
  /// Updates left out because a loss or gradient was not finite.
  package var skippedUpdates = 0
  /// AdamW's moments of the parts that this rank updates: all it holds or, with `optimizer.shard`, its share of it.
  public var firstMoments: MomentStore { optimizer.firstMoments }
  public var secondMoments: MomentStore { optimizer.secondMoments }
  /// Debug mode's checks; nil outside of it.
  package var observer: (any StepObserver)?
  /// Called before masters and moments change, so that whoever reads them in the background can finish.
  public var beforeUpdate: () throws(MPIError) -> Void = {}
  /// The whole model as it was published last: the weights themselves where this rank holds all.
  private let replica: PolicyReplica
  private var replicaUpdates = -1
  private let optimizer: AdamWState
  /// One sum per tensor, from one rank of the expert group: zeros of the others change no bit of their sum.
  private let squaredSums: SquaredSums
  /// Of the masters after an update: one that is not finite shows in its tensor's sum.
  private let masterSums: SquaredSums
  /// The index of a tensor on its way between ranks, in memory that every step uses again.
  private let firstNonfinite = AlignedBuffer<Int>(count: 1)
  /// Where optimizer state is split over the ranks that hold the same parameters.
  private let gathering: MasterGathering?

  /// All ranks.
  public var communicator: Communicator { topology.world }

  /// - Parameters:
  ///   - masters: what this rank holds.
  ///   - state: how the moments are stored.
  ///   - sharded: whether optimizer state is split over the ranks that hold the same parameters.
  public init(
    model: QuillanModel, masters: ParameterStore, optimizer: AdamW, state: MomentFormat = .fp32, sharded: Bool,
    mixedPrecision: Bool,
    reproducible: Bool, topology: Topology, context: Context
  ) {
    precondition(masters.held == topology.ownership.held(in: model.table), "masters of another rank's parameters")
    self.model = model
    self.masters = masters
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

  /// Goes on after `updates` updates, whose masters and moments have been put in place.
  public func resume(updates: Int) {
    self.updates = updates
    replicaUpdates = -1
    model.pack(masters, into: weights, context)
  }

  /// The whole current model, packed: for sampling, evaluation and the start of a frozen reference. Valid until the next
  /// update. Collective.
  public func wholeWeights() throws -> (weights: PackedModel, publication: PolicyReplica.Publication?) {
    guard replicaUpdates != updates else { return (replica.weights, nil) }
    let publication = try replica.publish(weights)
    replicaUpdates = updates
    return (replica.weights, publication)
  }

  /// Where backward passes of this rank's units add.
  public var gradients: Gradients { reducer.unit }

  /// Where the last backward pass of a step adds: sums over ranks begin meanwhile. In debug mode they wait, since it looks
  /// at each rank's gradients first.
  package func lastGradients() -> Gradients { observer == nil ? reducer.lastPassGradients() : gradients }

  /// Forgets gradients and loads of the step before.
  public func begin() {
    reducer.begin()
    loads.clear()
  }

  /// What the totals of a step look like before they are applied.
  public struct Reduced: Sendable {
    /// The global gradient norm, each parameter counted once.
    public let norm: Double
    /// The first tensor, in name order, whose gradient is not finite.
    public let nonfinite: String?
  }

  /// How many micro-batches each unit of a step has: `counts`, or more where others of the expert group have more.
  /// Collective in the expert group.
  func agree(microBatches counts: [Int]) throws(MPIError) -> [Int] {
    guard let experts else { return counts }
    return try experts.agree(microBatches: counts)
  }

  /// Sums gradients and loads over the ranks and takes the norm. Collective.
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

  /// Clips, steps AdamW on this rank's parts, moves the balance biases by the loads, and packs the new masters.
  /// Collective.
  ///
  /// - Returns: the first tensor, in name order, that is not finite now, on every rank alike: the masters are then lost.
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
    if balanceRate != 0 { moveBalanceBiases(Float(balanceRate)) }
    let spoilt = try nonfiniteMaster()
    if spoilt == nil { model.pack(masters, into: weights, context) }
    return spoilt
  }

  /// The first tensor of any rank, in name order, whose masters are not finite. Collective.
  private func nonfiniteMaster() throws(MPIError) -> String? {
    masterSums.take(from: masters, pool: context.pool)
    firstNonfinite.pointer[0] = masterSums.nonfinite.flatMap { model.table.id($0)?.index } ?? model.table.count
    if communicator.size > 1 { try communicator.allReduce(firstNonfinite.bufferPointer, .minimum) }
    let first = firstNonfinite.pointer[0]
    return first < model.table.count ? model.table[ParameterID(first)].name : nil
  }

  private func moveBalanceBiases(_ rate: Float) {
    func move(_ router: Router, _ counts: ArrayView<Int64>) {
      BalanceBias.update(biases: masters.rows(router.bias).vector, loads: counts, rate: rate)
    }
    for layer in model.layers { move(layer.router, loads.layer(layer.index)) }
    for index in topology.ownership.owned {
      let member = model.council.members[index]
      move(member.router, loads.experts(index))
      move(member.microRouter, loads.micros(index))
    }
  }

  /// Per routing level, the largest load over the mean load of its router, and the share of choices never taken.
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
