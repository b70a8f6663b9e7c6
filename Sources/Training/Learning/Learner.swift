import Layers
import LowBit
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Tensors

/// A model being trained on this rank: masters, their packing, gradients, optimizer state and routing loads.
///
/// Every rank holds the same masters. A step is `begin`, any number of units that add gradients, `reduce`, `update`.
public final class Learner {
  public let model: QuillanModel
  public let masters: ParameterStore
  /// The packing of the current masters: what training forwards read.
  public let weights: PackedModel
  public let reducer: GradientReducer
  public let loads: RoutingLoads
  public let context: Context
  public let communicator: Communicator
  /// Updates done so far.
  public private(set) var updates = 0
  private let firstMoments: ParameterStore
  private let secondMoments: ParameterStore
  private let optimizer: AdamW
  private let mixedPrecision: Bool

  public init(
    model: QuillanModel, masters: ParameterStore, optimizer: AdamW, mixedPrecision: Bool, reproducible: Bool,
    communicator: Communicator, context: Context
  ) {
    self.model = model
    self.masters = masters
    self.optimizer = optimizer
    self.mixedPrecision = mixedPrecision
    self.communicator = communicator
    self.context = context
    weights = model.makePackedModel()
    reducer = GradientReducer(model.table, reproducible: reproducible, communicator: communicator)
    loads = model.makeLoads()
    firstMoments = ParameterStore(model.table)
    secondMoments = ParameterStore(model.table)
    model.pack(masters, into: weights, context)
  }

  public var gradients: Gradients { Gradients(reducer.gradients, mixedPrecision: mixedPrecision) }

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

  /// Sums gradients and loads over all ranks and takes the norm. Collective.
  public func reduce() throws(MPIError) -> Reduced {
    try reducer.reduce()
    if communicator.size > 1 { try communicator.allReduce(loads.counts.bufferPointer, .sum) }
    let sums = trained.map { id in
      (
        name: model.table[id].name,
        squaredSum: Kernels.table.pointee.sum_squares(Int64(model.table[id].count), reducer.gradients.pointer(id))
      )
    }
    return Reduced(
      norm: GradientNorm.norm(squaredSums: sums), nonfinite: sums.first { !$0.squaredSum.isFinite }?.name)
  }

  private var trained: [ParameterID] { model.table.ids.filter { model.table[$0].role != .balanceBias } }

  /// Clips, steps AdamW, moves the balance biases by the loads, and packs the new masters.
  public func update(norm: Double, learningRate: Double, maximumNorm: Double, balanceRate: Double) {
    updates += 1
    let scale = Float(GradientNorm.clipScale(norm: norm, maximum: maximumNorm))
    for id in trained {
      let specification = model.table[id]
      let pointers = Pointers(
        weights: masters.pointer(id), gradients: reducer.gradients.pointer(id), first: firstMoments.pointer(id),
        second: secondMoments.pointer(id))
      let decayed = AdamW.isDecayed(name: specification.name)
      context.pool.split(specification.count, grain: 16, least: 1 << 16) { _, range in
        optimizer.step(
          weights: pointers.weights + range.lowerBound, gradients: pointers.gradients + range.lowerBound,
          firstMoment: pointers.first + range.lowerBound, secondMoment: pointers.second + range.lowerBound,
          count: range.count, decayed: decayed, learningRate: learningRate, step: updates, clipScale: scale)
      }
    }
    if balanceRate != 0 { moveBalanceBiases(Float(balanceRate)) }
    model.pack(masters, into: weights, context)
  }

  private struct Pointers: @unchecked Sendable {
    let weights: UnsafeMutablePointer<Float>
    let gradients: UnsafeMutablePointer<Float>
    let first: UnsafeMutablePointer<Float>
    let second: UnsafeMutablePointer<Float>
  }

  private func moveBalanceBiases(_ rate: Float) {
    func move(_ router: Router, _ counts: UnsafeMutablePointer<Int64>) {
      BalanceBias.update(
        biases: masters.values(router.bias), loads: UnsafeBufferPointer(start: counts, count: router.count),
        rate: rate)
    }
    for layer in model.layers { move(layer.router, loads.layer(layer.index)) }
    for (index, member) in model.council.members.enumerated() {
      move(member.router, loads.experts(index))
      move(member.microRouter, loads.micros(index))
    }
  }

  /// Per routing level, the largest load over the mean load of its router, and the share of choices never taken.
  public var loadMetrics: [String: Double] {
    var result: [String: Double] = [:]
    func add(_ level: String, _ routers: [(UnsafeMutablePointer<Int64>, Int)]) {
      var worst = 0.0
      var unused = 0
      var choices = 0
      for (counts, count) in routers {
        let values = UnsafeBufferPointer(start: counts, count: count)
        let total = values.reduce(0, +)
        choices += count
        unused += values.count { $0 == 0 }
        if total > 0 { worst = max(worst, Double(values.max() ?? 0) * Double(count) / Double(total)) }
      }
      result["load/\(level)/max_over_mean"] = worst
      result["load/\(level)/unused"] = Double(unused) / Double(max(1, choices))
    }
    let members = model.council.members.indices
    add("mini_moes", model.layers.indices.map { (loads.layer($0), loads.miniMoEs) })
    add("experts", members.map { (loads.experts($0), loads.experts) })
    add("micro_agents", members.map { (loads.micros($0), loads.micros) })
    return result
  }
}
