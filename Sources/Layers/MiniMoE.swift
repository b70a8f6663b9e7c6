import LowBit
import Parameters
import Tensors

/// One member of the council: a router over experts, and micro agents that refine what the experts say.
///
///     e = Σ gate · down(gelu(up(u))) over the chosen experts        [T, d]
///     ê = RMSNorm(e)
///     o = Σ gate · down_a(gelu(up_a(ê ⊙ norm_a))) over the chosen micro agents
///     y = e + micro_scale · o
///
/// Shapes: T tokens that were sent to this mini-MoE, d model width; u, e, ê, o and y [T, d].
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
    let experts: FeedForward.Saved
    let norm: RMSNorm.Saved
    /// ê [T, d].
    let normalized: Matrix
    let microRouting: Router.Routing
    let microOrder: SlotOrder
    let agents: FeedForward.Saved
    let balance: BalanceGradient?
    let microBalance: BalanceGradient?
  }

  /// Receives a mini-MoE's contribution to the balance loss, and its loads.
  struct Report {
    let experts: RoutingReport
    let micros: RoutingReport
  }

  /// Multiply-adds of the experts and micro agents of one token.
  func multiplyAdds(_ weights: PackedModel) -> Int {
    func network(_ feedForward: FeedForward) -> Int {
      let up = weights.weights(feedForward.up.weight)
      return 2 * up.rows * up.columns
    }
    return router.topK * network(experts) + microRouter.topK * network(agents)
  }

  /// Writes y [T, d] for rows u [T, d].
  func forward(_ u: Matrix, report: Report?, into y: Matrix, _ pass: ForwardLane) -> Saved {
    let (arena, scratch) = (pass.arena, pass.scratch)
    let routing = router.forward(u, pass)
    let order = SlotOrder(routing, choices: router.count, in: arena)
    // Experts read u: quantise it once and gather the codes for each expert.
    let sorted = experts.up.input(u, pass).gather(order.token, in: arena)
    let e = arena.zeros(u.rows, u.columns)
    let expertsSaved = scratch.scoped {
      let outputs = scratch.matrix(order.slots, u.columns)
      let saved = experts.forward(sorted, offsets: order.offsets, into: outputs, pass)
      order.add(outputs, gates: routing.gates, to: e)
      return saved
    }
    let normalized = arena.matrix(u.rows, u.columns)
    let norm = RMSNorm(weight: nil, epsilon: epsilon).forward(e, into: normalized, pass)
    let microRouting = microRouter.forward(normalized, pass)
    let microOrder = SlotOrder(microRouting, choices: microRouter.count, in: arena)
    y.copy(from: e)
    let agentsSaved = scratch.scoped {
      let outputs = scratch.matrix(microOrder.slots, u.columns)
      let saved = agents.forward(
        agentInput(normalized, microOrder, pass), offsets: microOrder.offsets, into: outputs, pass)
      let sum = scratch.zeros(u.rows, u.columns)
      microOrder.add(outputs, gates: microRouting.gates, to: sum)
      y.add(sum, times: microScale)
      return saved
    }
    return Saved(
      routing: routing, order: order, experts: expertsSaved, norm: norm, normalized: normalized,
      microRouting: microRouting, microOrder: microOrder, agents: agentsSaved,
      balance: report.map { router.balance(routing, $0.experts, pass.lane) },
      microBalance: report.map { microRouter.balance(microRouting, $0.micros, pass.lane) })
  }

  /// ê ⊙ norm_a of each micro slot, quantised. Only floating formats keep the fp32 values.
  private func agentInput(_ normalized: Matrix, _ order: SlotOrder, _ pass: ForwardLane) -> QuantizedInput {
    let isFloating = !pass.weights.weights(agents.up.weight).format.isInteger
    let inputs = (isFloating ? pass.arena : pass.scratch).matrix(order.slots, normalized.columns)
    let scales = pass.weights.rows(agentNorm)
    for (agent, range) in order.offsets {
      for row in range { inputs[row].setProduct(normalized[Int(order.token[row])], scales[agent]) }
    }
    return agents.up.input(inputs, pass)
  }

  /// Adds to `du` and to the gradients of the parameters.
  func backward(_ dy: Matrix, _ saved: Saved, into du: Matrix, _ pass: BackwardLane) {
    let scratch = pass.scratch
    scratch.scoped {
      let de = scratch.matrix(dy.rows, dy.columns)
      de.copy(from: dy)
      let dNormalized = scratch.zeros(dy.rows, dy.columns)
      backwardAgents(dy, saved, into: dNormalized, pass)
      RMSNorm(weight: nil, epsilon: epsilon).backward(dNormalized, saved.norm, into: de, pass)

      let order = saved.order
      let dOutputs = order.gather(de, scale: 1, in: scratch)
      let gates = FeedForward.Gates(
        order.sorted(saved.routing.gates, in: scratch), gradients: scratch.vector(order.slots))
      let dInputs = scratch.zeros(order.slots, dy.columns)
      experts.backward(dOutputs, gates: gates, saved.experts, into: dInputs, pass)
      order.add(dInputs, to: du)
      router.backward(
        order.unsorted(gates.gradients, in: scratch), saved.routing, balance: saved.balance, into: du, pass)
    }
  }

  private func backwardAgents(_ dy: Matrix, _ saved: Saved, into dNormalized: Matrix, _ pass: BackwardLane) {
    let scratch = pass.scratch
    let order = saved.microOrder
    let dOutputs = order.gather(dy, scale: microScale, in: scratch)
    let gates = FeedForward.Gates(
      order.sorted(saved.microRouting.gates, in: scratch), gradients: scratch.vector(order.slots))
    let dInputs = scratch.zeros(order.slots, dy.columns)
    agents.backward(dOutputs, gates: gates, saved.agents, into: dInputs, pass)
    let scales = pass.weights.rows(agentNorm)
    let dScales = pass.gradients.rows(agentNorm)
    for (agent, range) in order.offsets {
      for row in range {
        dInputs[row].setProductBackward(
          saved.normalized[Int(order.token[row])], scales[agent], addingTo: dScales[agent])
      }
    }
    order.add(dInputs, to: dNormalized)
    microRouter.backward(
      order.unsorted(gates.gradients, in: scratch), saved.microRouting, balance: saved.microBalance, into: dNormalized,
      pass)
  }
}
