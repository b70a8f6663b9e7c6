import Parameters
import Tensors

/// The mini-MoEs that every layer consults. A token is sent to the mini-MoEs that its layer's router chose, and the
/// gated results are added in descending order of choice. With a `CouncilExchange`, mini-MoEs may be on other ranks.
///
/// Shapes: T tokens, d model width, k mini-MoEs of each token, S = T·k slots; u, c and y [T, d].
public struct Council: Sendable {
  public let members: [MiniMoE]

  public init(members: [MiniMoE]) { self.members = members }

  public struct Saved: BitwiseCopyable, Sendable {
    let routing: Router.Routing
    let order: SlotOrder
    /// Outputs of the mini-MoEs for each routed slot, sorted by mini-MoE [S, d].
    let outputs: Matrix
    let work: CouncilWork
    /// One entry per segment of the work.
    let members: ArrayView<MiniMoE.Saved>
    let balance: BalanceGradient?
    /// How rows were exchanged; nil without an exchange.
    let layout: CouncilExchange.Layout?
  }

  /// y += Σ gate · MiniMoE_m(u) over the mini-MoEs that `router` chooses for u + c, which is `steered`.
  ///
  /// With an exchange, all ranks of the expert group call this function for the same layer of the same micro-batch.
  public func forward(
    _ u: Matrix, steered: Matrix, router: Router, layer: Int, into y: Matrix, _ pass: ForwardPassContext
  ) -> Saved {
    let (lane, report) = (pass.context.main, pass.report)
    let routing = router.forward(steered, pass.main)
    let order = SlotOrder(routing, choices: members.count, in: lane.arena)
    let inputs = order.gather(u, in: lane.arena)
    let balance = report.map {
      router.balance(
        routing,
        RoutingReport(
          terms: $0.terms, sequence: $0.sequence, outerTopK: 1, values: $0.values(level: 0),
          loads: $0.layerLoads(layer)), lane)
    }
    let work: CouncilWork
    var layout: CouncilExchange.Layout?
    if let exchange = pass.exchange {
      (work, layout) = exchange.dispatch(inputs, order, sequence: report?.sequence, layer: layer, lane)
    } else {
      work = localWork(inputs, order, report, lane)
    }
    let results = lane.arena.matrix(work.inputs.rows, u.columns)
    let saved = runMembers(work, router, into: results, pass)
    var outputs = results
    if let exchange = pass.exchange, let layout {
      outputs = exchange.combine(results, layout, layer: layer, lane)
    }
    order.add(outputs, gates: routing.gates, to: y)
    return Saved(
      routing: routing, order: order, outputs: outputs, work: work, members: saved, balance: balance, layout: layout)
  }

  private func localWork(_ inputs: Matrix, _ order: SlotOrder, _ report: BalanceReport?, _ lane: Lane) -> CouncilWork {
    let sequences = lane.arena.view(Int32.self, order.slots)
    if let report { for row in 0..<order.slots { sequences[row] = report.sequence[Int(order.token[row])] } }
    var segments = ArenaList<CouncilWork.Segment>(capacity: members.count, in: lane.arena)
    for (member, rows) in order.offsets {
      segments.append(CouncilWork.Segment(member: member, source: nil, rows: rows))
    }
    return CouncilWork(segments: segments, inputs: inputs, sequence: sequences, in: lane.arena)
  }

  /// Runs this rank's mini-MoEs on their rows. What they keep for the backward pass has one entry per segment.
  private func runMembers(
    _ work: CouncilWork, _ router: Router, into results: Matrix, _ pass: ForwardPassContext
  ) -> ArrayView<MiniMoE.Saved> {
    let (context, rows) = (pass.context, work.inputs.rows)
    let saved = context.arena.view(MiniMoE.Saved.self, work.segments.count)
    guard let first = work.segments.first else { return saved }
    func run(_ index: Int, _ lane: ForwardLane) {
      for number in work.segments(ofMember: index) {
        let segment = work.segments[number]
        saved[number] = members[segment.member].forward(
          work.inputs.rows(segment.rows), report: report(segment, work, router, pass),
          into: results.rows(segment.rows), lane)
      }
    }
    if 2 * work.members <= context.pool.threads {
      // Too few for the threads, which then divide the products of each.
      for index in 0..<work.members { run(index, pass.main) }
    } else {
      let cost = LoopCost.multiplyAdds(members[first.member].multiplyAdds(pass.weights) * rows / work.members)
      if pass.report == nil {
        context.pool.spread(work.members, cost: cost) { worker, index in run(index, pass.lane(worker)) }
      } else {
        // In training each thread's memory stays the same from step to step.
        context.pool.each(work.members, cost: cost) { worker, index in run(index, pass.lane(worker)) }
      }
    }
    return saved
  }

  /// Where the mini-MoE of a segment reports: sequences and L_aux of the exchange, whose rows come from all ranks, or of
  /// the pass.
  private func report(
    _ segment: CouncilWork.Segment, _ work: CouncilWork, _ router: Router, _ pass: ForwardPassContext
  ) -> MiniMoE.Report? {
    pass.report.map { report in
      let values =
        report.counts ? pass.exchange?.values(segment.member) ?? report.values(level: 1 + segment.member) : nil
      func part(_ loads: ArrayView<Int64>?) -> RoutingReport {
        RoutingReport(
          terms: pass.exchange?.terms ?? report.terms, sequence: work.sequence.part(segment.rows),
          outerTopK: router.topK, values: values, loads: loads)
      }
      return MiniMoE.Report(
        experts: part(report.expertLoads(segment.member)), micros: part(report.microLoads(segment.member)))
    }
  }

  /// Adds to `du` (through the mini-MoEs) and to `dSteered` (through the router's input u + c).
  public func backward(
    _ dy: Matrix, _ saved: Saved, router: Router, into du: Matrix, dSteered: Matrix, _ pass: BackwardPassContext
  ) {
    precondition((pass.exchange == nil) == (saved.layout == nil), "an exchange in only one of forward and backward")
    let (main, order) = (pass.main, saved.order)
    main.scratch.scoped {
      let dGates = main.scratch.vector(order.slots)
      let dOutputs = main.scratch.matrix(order.slots, dy.columns)
      for slot in 0..<order.slots {
        let row = Int(order.row[slot])
        let source = dy[slot / order.topK]
        dGates[slot] = source.dot(saved.outputs[row])
        dOutputs[row].set(source, times: saved.routing.gates[slot])
      }
      order.add(backwardMembers(dOutputs, saved, pass), to: du)
      router.backward(dGates, saved.routing, balance: saved.balance, into: dSteered, main)
    }
  }

  /// Gradients of the inputs of all slots, in scratch memory, for gradients of the outputs [S, d].
  private func backwardMembers(_ dOutputs: Matrix, _ saved: Saved, _ pass: BackwardPassContext) -> Matrix {
    let lane = pass.context.main
    let work = saved.work
    var dResults = dOutputs
    if let exchange = pass.exchange, let layout = saved.layout {
      dResults = exchange.toOwners(dOutputs, layout, in: lane.scratch, lane)
    }
    let dInputs = lane.scratch.zeros(work.inputs.rows, dOutputs.columns)
    pass.context.pool.each(work.members) { worker, index in
      for number in work.segments(ofMember: index) {
        let segment = work.segments[number]
        members[segment.member].backward(
          dResults.rows(segment.rows), saved.members[number], into: dInputs.rows(segment.rows),
          pass.lane(worker, pass.exchange?.gradients(segment.source)))
      }
    }
    guard let exchange = pass.exchange, let layout = saved.layout else { return dInputs }
    return exchange.toSources(dInputs, layout, in: lane.scratch, lane)
  }
}
