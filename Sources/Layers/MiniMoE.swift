import LowBit
import Parameters
import Tensors

/// One member of the council: a router over experts, and micro agents that refine what the experts say.
///
///     e = Σ gate · down(gelu(up(u))) over the chosen experts        [T, d]
///     ê = RMSNorm(e)
///     o = Σ gate · down_a(gelu(up_a(ê ⊙ norm_a))) over the chosen micro agents
///     y = e + micro_scale · o
public struct MiniMoE: Sendable {
  public let router: Router
  public let experts: FeedForward
  public let microRouter: Router
  public let agentNorm: ParameterID
  public let agents: FeedForward
  public let microScale: Float
  public let epsilon: Float

  public init(
    router: Router, experts: FeedForward, microRouter: Router, agentNorm: ParameterID, agents: FeedForward,
    microScale: Float, epsilon: Float
  ) {
    self.router = router
    self.experts = experts
    self.microRouter = microRouter
    self.agentNorm = agentNorm
    self.agents = agents
    self.microScale = microScale
    self.epsilon = epsilon
  }

  public struct Saved: BitwiseCopyable, Sendable {
    let routing: Router.Routing
    let order: SlotOrder
    let expertsSaved: FeedForward.Saved
    let norm: RMSNorm.Saved
    let normalized: Matrix
    let microRouting: Router.Routing
    let microOrder: SlotOrder
    let agentsSaved: FeedForward.Saved
    let balance: BalanceGradient?
    let microBalance: BalanceGradient?
  }

  /// Receives a mini-MoE's contribution to the balance loss, and its loads.
  public struct Report: @unchecked Sendable {
    let terms: BalanceTerms
    /// Slots that each token has in the council (mini_moe_top_k).
    let councilTopK: Int
    /// The sequence of each row of u.
    let sequence: UnsafePointer<Int32>
    let values: UnsafeMutablePointer<Double>?
    let expertLoads: UnsafeMutablePointer<Int64>?
    let microLoads: UnsafeMutablePointer<Int64>?
  }

  /// Writes y [T, d] for rows u [T, d].
  public func forward(_ u: Matrix, _ weights: PackedModel, report: Report?, into y: Matrix, _ lane: Lane) -> Saved {
    let arena = lane.arena
    let routing = router.forward(u, weights, lane)
    let order = SlotOrder(routing, choices: router.count, in: arena)
    // Experts read u: quantise it once and gather the codes for each expert.
    let sorted = experts.up.input(u, weights, lane).gather(order.token, count: order.slots, in: arena)
    let e = arena.zeros(u.rows, u.columns)
    let expertsSaved = lane.scratch.scoped {
      let outputs = lane.scratch.matrix(order.slots, u.columns)
      let saved = experts.forward(sorted, offsets: order.offsets, weights, into: outputs, lane)
      combine(outputs, routing, order, into: e)
      return saved
    }
    let normalized = arena.matrix(u.rows, u.columns)
    let norm = RMSNorm(weight: nil, epsilon: epsilon).forward(e, weights, into: normalized, lane)
    let microRouting = microRouter.forward(normalized, weights, lane)
    let microOrder = SlotOrder(microRouting, choices: microRouter.count, in: arena)
    y.copy(from: e)
    let agentsSaved = lane.scratch.scoped {
      let floating = !weights.weights(agents.up.weight).format.isInteger
      let inputs = (floating ? arena : lane.scratch).matrix(microOrder.slots, u.columns)
      let scales = weights.values(agentNorm)
      for (agent, range) in microOrder.offsets {
        let scale = scales + agent * u.columns
        for row in range {
          let source = normalized.row(Int(microOrder.token[row]))
          let target = inputs.row(row)
          Kernels.table.pointee.multiply(Int64(u.columns), source, scale, target)
        }
      }
      let outputs = lane.scratch.matrix(microOrder.slots, u.columns)
      let saved = agents.forward(
        agents.up.input(inputs, weights, lane), offsets: microOrder.offsets, weights, into: outputs, lane)
      let sum = lane.scratch.zeros(u.rows, u.columns)
      combine(outputs, microRouting, microOrder, into: sum)
      Kernels.table.pointee.add_scaled(Int64(y.count), microScale, sum.pointer, y.pointer)
      return saved
    }
    var balance: BalanceGradient?
    var microBalance: BalanceGradient?
    if let report {
      balance = router.balance(
        routing, sequence: report.sequence, outerTopK: report.councilTopK, report.terms, values: report.values,
        loads: report.expertLoads, lane)
      microBalance = microRouter.balance(
        microRouting, sequence: report.sequence, outerTopK: report.councilTopK, report.terms, values: report.values,
        loads: report.microLoads, lane)
    }
    return Saved(
      routing: routing, order: order, expertsSaved: expertsSaved, norm: norm, normalized: normalized,
      microRouting: microRouting, microOrder: microOrder, agentsSaved: agentsSaved, balance: balance,
      microBalance: microBalance)
  }

  /// Adds to `du` and to the gradients of the parameters.
  func backward(
    _ dy: Matrix, _ saved: Saved, _ weights: PackedModel, _ gradients: Gradients, into du: Matrix, _ lane: Lane
  ) {
    let scratch = lane.scratch
    scratch.scoped {
      let de = scratch.matrix(dy.rows, dy.columns)
      de.copy(from: dy)
      let dNormalized = scratch.zeros(dy.rows, dy.columns)
      backwardAgents(dy, saved, weights, gradients, into: dNormalized, lane)
      RMSNorm(weight: nil, epsilon: epsilon).backward(dNormalized, saved.norm, weights, gradients, into: de)

      let order = saved.order
      let dOutputs = gather(de, order, scale: 1, in: scratch)
      let gates = gatherGates(saved.routing, order, in: scratch)
      let dSorted = scratch.allocate(Float.self, order.slots)
      let dInputs = scratch.zeros(order.slots, dy.columns)
      experts.backward(
        dOutputs, gates: gates, dGates: dSorted, saved.expertsSaved, offsets: order.offsets, weights, gradients,
        into: dInputs, lane)
      scatter(dInputs, saved.routing, order, into: du)
      router.backward(
        unsort(dSorted, order, in: scratch), saved.routing, balance: saved.balance, weights, gradients, into: du, lane)
    }
  }

  private func backwardAgents(
    _ dy: Matrix, _ saved: Saved, _ weights: PackedModel, _ gradients: Gradients, into dNormalized: Matrix,
    _ lane: Lane
  ) {
    let scratch = lane.scratch
    let order = saved.microOrder
    let dOutputs = gather(dy, order, scale: microScale, in: scratch)
    let gates = gatherGates(saved.microRouting, order, in: scratch)
    let dSorted = scratch.allocate(Float.self, order.slots)
    let dInputs = scratch.zeros(order.slots, dy.columns)
    agents.backward(
      dOutputs, gates: gates, dGates: dSorted, saved.agentsSaved, offsets: order.offsets, weights, gradients,
      into: dInputs, lane)
    let scales = weights.values(agentNorm)
    let dScales = gradients.pointer(agentNorm)
    for (agent, range) in order.offsets {
      let scale = scales + agent * dy.columns
      let dScale = dScales + agent * dy.columns
      for row in range {
        let x = saved.normalized.row(Int(order.token[row]))
        let d = dInputs.row(row)
        Kernels.table.pointee.multiply_backward(Int64(dy.columns), x, scale, d, dScale)
      }
    }
    scatter(dInputs, saved.microRouting, order, into: dNormalized)
    microRouter.backward(
      unsort(dSorted, order, in: scratch), saved.microRouting, balance: saved.microBalance, weights, gradients,
      into: dNormalized, lane)
  }

  /// out[t] += Σ gate · outputs, the slots of a token in order.
  private func combine(_ outputs: Matrix, _ routing: Router.Routing, _ order: SlotOrder, into out: Matrix) {
    for slot in 0..<order.slots {
      Kernels.table.pointee.add_scaled(
        Int64(out.columns), routing.gates[slot], outputs.row(Int(order.row[slot])), out.row(slot / routing.topK))
    }
  }

  private func gather(_ x: Matrix, _ order: SlotOrder, scale: Float, in arena: Arena) -> Matrix {
    let out = arena.matrix(order.slots, x.columns)
    for row in 0..<order.slots {
      let source = x.row(Int(order.token[row]))
      let target = out.row(row)
      Kernels.table.pointee.scale(Int64(x.columns), scale, source, target)
    }
    return out
  }

  private func gatherGates(_ routing: Router.Routing, _ order: SlotOrder, in arena: Arena)
    -> UnsafeMutablePointer<Float>
  {
    let gates = arena.allocate(Float.self, order.slots)
    for row in 0..<order.slots { gates[row] = routing.gates[Int(order.slot[row])] }
    return gates
  }

  private func unsort(_ sorted: UnsafePointer<Float>, _ order: SlotOrder, in arena: Arena)
    -> UnsafeMutablePointer<Float>
  {
    let out = arena.allocate(Float.self, order.slots)
    for row in 0..<order.slots { out[Int(order.slot[row])] = sorted[row] }
    return out
  }

  private func scatter(_ rows: Matrix, _ routing: Router.Routing, _ order: SlotOrder, into out: Matrix) {
    for slot in 0..<order.slots {
      Kernels.table.pointee.add_scaled(
        Int64(out.columns), 1, rows.row(Int(order.row[slot])), out.row(slot / routing.topK))
    }
  }
}
