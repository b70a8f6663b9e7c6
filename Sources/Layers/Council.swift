import Parameters
import Tensors

/// The mini-MoEs that every layer consults. A token is sent to the mini-MoEs that its layer's router chose, and the
/// gated results are added in descending order of choice. With a `CouncilExchange`, mini-MoEs may be on other ranks.
public struct Council: Sendable {
  public let members: [MiniMoE]

  public init(members: [MiniMoE]) { self.members = members }

  public struct Saved: BitwiseCopyable, @unchecked Sendable {
    let routing: Router.Routing
    let order: SlotOrder
    /// Outputs of the mini-MoEs for each routed slot, sorted by mini-MoE.
    let outputs: Matrix
    let work: CouncilWork
    /// One entry per segment of the work.
    let members: UnsafeMutablePointer<MiniMoE.Saved>
    let balance: BalanceGradient?
    /// How rows were exchanged; nil without an exchange.
    let layout: CouncilExchange.Layout?
  }

  /// y += Σ gate · MiniMoE_m(u) over the mini-MoEs that `router` chooses for u + c.
  ///
  /// With `exchange`, all ranks of the expert group call this function for the same layer of the same micro-batch.
  public func forward(
    _ u: Matrix, steered: Matrix, router: Router, layer: Int, _ weights: PackedModel, report: BalanceReport?,
    exchange: CouncilExchange? = nil, into y: Matrix, _ context: Context
  ) -> Saved {
    let lane = context.main
    let routing = router.forward(steered, weights, lane)
    let order = SlotOrder(routing, choices: members.count, in: lane.arena)
    let inputs = lane.arena.matrix(order.slots, u.columns)
    for row in 0..<order.slots {
      inputs.row(row).update(from: u.row(Int(order.token[row])), count: u.columns)
    }
    let balance = report.map {
      router.balance(
        routing, sequence: $0.sequence, outerTopK: 1, $0.terms, values: $0.values(level: 0),
        loads: $0.layerLoads(layer), lane)
    }
    let work: CouncilWork
    var layout: CouncilExchange.Layout?
    if let exchange {
      (work, layout) = exchange.dispatch(inputs, order, sequence: report?.sequence, layer: layer, lane)
    } else {
      work = localWork(inputs, order, report, lane)
    }
    let answers = lane.arena.matrix(work.inputs.rows, u.columns)
    let saved = answer(work, router, weights, report, exchange, into: answers, context)
    var outputs = answers
    if let exchange, let layout { outputs = exchange.combine(answers, layout, layer: layer, lane) }
    for slot in 0..<order.slots {
      Kernels.table.pointee.add_scaled(
        Int64(u.columns), routing.gates[slot], outputs.row(Int(order.row[slot])), y.row(slot / routing.topK))
    }
    return Saved(
      routing: routing, order: order, outputs: outputs, work: work, members: saved, balance: balance, layout: layout)
  }

  private func localWork(_ inputs: Matrix, _ order: SlotOrder, _ report: BalanceReport?, _ lane: Lane) -> CouncilWork {
    let sequences = lane.arena.allocate(Int32.self, order.slots)
    if let report { for row in 0..<order.slots { sequences[row] = report.sequence[Int(order.token[row])] } }
    var segments = ArenaList<CouncilWork.Segment>(capacity: members.count, in: lane.arena)
    for (member, rows) in order.offsets {
      segments.append(CouncilWork.Segment(member: member, source: nil, rows: rows))
    }
    return CouncilWork(segments: segments, inputs: inputs, sequence: sequences, in: lane.arena)
  }

  /// Runs this rank's mini-MoEs on their rows. What they keep for the backward pass has one entry per segment.
  private func answer(
    _ work: CouncilWork, _ router: Router, _ weights: PackedModel, _ report: BalanceReport?,
    _ exchange: CouncilExchange?, into answers: Matrix, _ context: Context
  ) -> UnsafeMutablePointer<MiniMoE.Saved> {
    let saved = context.arena.allocate(MiniMoE.Saved.self, work.segments.count)
    let remote = UncheckedSendable(exchange)
    let least = max(1, members.count * 64 / max(1, work.inputs.rows))
    context.pool.each(work.members, least: least) { worker, index in
      for place in work.segments(ofMember: index) {
        let segment = work.segments[place]
        let memberReport = report.map { report in
          MiniMoE.Report(
            terms: remote.value?.terms ?? report.terms, councilTopK: router.topK,
            sequence: work.sequence + segment.rows.lowerBound,
            values: report.counts
              ? remote.value?.values(segment.member) ?? report.values(level: 1 + segment.member) : nil,
            expertLoads: report.expertLoads(segment.member), microLoads: report.microLoads(segment.member))
        }
        saved[place] = members[segment.member].forward(
          work.inputs.rows(segment.rows), weights, report: memberReport, into: answers.rows(segment.rows),
          context.lane(worker))
      }
    }
    return saved
  }

  /// Adds to `du` (through the mini-MoEs) and to `dSteered` (through the router's input u + c). Pass the `exchange` of
  /// the forward pass.
  public func backward(
    _ dy: Matrix, _ saved: Saved, router: Router, _ weights: PackedModel, _ gradients: Gradients,
    exchange: CouncilExchange? = nil, into du: Matrix, dSteered: Matrix, _ context: Context
  ) {
    precondition((exchange == nil) == (saved.layout == nil), "an exchange in only one of forward and backward")
    let lane = context.main
    let order = saved.order
    lane.scratch.scoped {
      let dGates = lane.scratch.allocate(Float.self, order.slots)
      let dOutputs = lane.scratch.matrix(order.slots, dy.columns)
      for slot in 0..<order.slots {
        let row = Int(order.row[slot])
        let source = dy.row(slot / saved.routing.topK)
        dGates[slot] = Kernels.table.pointee.dot(Int64(dy.columns), source, saved.outputs.row(row))
        let gate = saved.routing.gates[slot]
        Kernels.table.pointee.scale(Int64(dy.columns), gate, source, dOutputs.row(row))
      }
      let dInputs = backwardMembers(dOutputs, saved, weights, gradients, exchange, context)
      for slot in 0..<order.slots {
        Kernels.table.pointee.add_scaled(
          Int64(dy.columns), 1, dInputs.row(Int(order.row[slot])), du.row(slot / saved.routing.topK))
      }
      router.backward(
        dGates, saved.routing, balance: saved.balance, weights, gradients, into: dSteered, lane)
    }
  }

  /// Gradients of the inputs of all slots, in scratch memory, for gradients of the outputs.
  private func backwardMembers(
    _ dOutputs: Matrix, _ saved: Saved, _ weights: PackedModel, _ gradients: Gradients, _ exchange: CouncilExchange?,
    _ context: Context
  ) -> Matrix {
    let lane = context.main
    let work = saved.work
    var dAnswers = dOutputs
    if let exchange, let layout = saved.layout {
      dAnswers = exchange.toOwners(dOutputs, layout, in: lane.scratch, lane)
    }
    let dInputs = lane.scratch.zeros(work.inputs.rows, dOutputs.columns)
    let remote = UncheckedSendable(exchange)
    context.pool.each(work.members) { worker, index in
      for place in work.segments(ofMember: index) {
        let segment = work.segments[place]
        members[segment.member].backward(
          dAnswers.rows(segment.rows), saved.members[place], weights,
          remote.value?.gradients(segment.source) ?? gradients, into: dInputs.rows(segment.rows), context.lane(worker))
      }
    }
    guard let exchange, let layout = saved.layout else { return dInputs }
    return exchange.toSources(dInputs, layout, in: lane.scratch, lane)
  }
}
