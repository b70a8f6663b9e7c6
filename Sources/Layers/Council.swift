import Parameters
import Tensors

/// The mini-MoEs that every layer consults: tokens go to those their layer's router chose, and the gated results
/// come back, a token's slots in descending order of choice.
public struct Council: Sendable {
  public let members: [MiniMoE]

  public init(members: [MiniMoE]) { self.members = members }

  public struct Saved: @unchecked Sendable {
    let routing: Router.Routing
    let order: SlotOrder
    /// What each slot's mini-MoE answered, sorted by mini-MoE.
    let outputs: Matrix
    let members: [MiniMoE.Saved?]
    let balance: BalanceGradient?
  }

  /// y += Σ gate · MiniMoE_m(u) over the mini-MoEs that `router` chooses from u + c.
  func forward(
    _ u: Matrix, steered: Matrix, router: Router, layer: Int, _ weights: PackedModel, report: BalanceReport?,
    into y: Matrix, _ context: Context
  ) -> Saved {
    let lane = context.main
    let routing = router.forward(steered, weights, lane)
    let order = SlotOrder(routing, choices: members.count, in: lane.arena)
    let inputs = lane.arena.matrix(order.slots, u.columns)
    let sequences = lane.arena.allocate(Int32.self, order.slots)
    for row in 0..<order.slots {
      inputs.row(row).update(from: u.row(Int(order.token[row])), count: u.columns)
      if let report { sequences[row] = report.sequence[Int(order.token[row])] }
    }
    let sequenceRows = Unowned(sequences)
    let balance = report.map {
      router.balance(
        routing, sequence: $0.sequence, outerTopK: 1, $0.terms, values: $0.values(level: 0),
        loads: $0.layerLoads(layer), lane)
    }
    let outputs = lane.arena.matrix(order.slots, u.columns)
    let results = Results(members.count)
    context.pool.each(members.count, least: max(1, members.count * 64 / max(1, order.slots))) { worker, member in
      let first = Int(order.starts[member])
      let rows = order.count(of: member)
      guard rows > 0 else { return }
      let memberReport = report.map {
        MiniMoE.Report(
          terms: $0.terms, councilTopK: router.topK, sequence: sequenceRows.value + first,
          values: $0.values(level: 1 + member), expertLoads: $0.expertLoads(member),
          microLoads: $0.microLoads(member))
      }
      results.saved[member] = members[member].forward(
        inputs.rows(first..<first + rows), weights, report: memberReport, into: outputs.rows(first..<first + rows),
        context.lane(worker))
    }
    for slot in 0..<order.slots {
      Kernels.table.pointee.add_scaled(
        Int64(u.columns), routing.gates[slot], outputs.row(Int(order.row[slot])), y.row(slot / routing.topK))
    }
    return Saved(
      routing: routing, order: order, outputs: outputs, members: Array(results.saved), balance: balance)
  }

  /// Adds to `du` (mini-MoEs) and `dSteered` (the router's input u + c).
  func backward(
    _ dy: Matrix, _ saved: Saved, router: Router, _ weights: PackedModel, _ gradients: Gradients, into du: Matrix,
    dSteered: Matrix, _ context: Context
  ) {
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
      let dInputs = lane.scratch.zeros(order.slots, dy.columns)
      context.pool.each(members.count) { worker, member in
        guard let memberSaved = saved.members[member] else { return }
        let first = Int(order.starts[member])
        let rows = first..<first + order.count(of: member)
        members[member].backward(
          dOutputs.rows(rows), memberSaved, weights, gradients, into: dInputs.rows(rows), context.lane(worker))
      }
      for slot in 0..<order.slots {
        Kernels.table.pointee.add_scaled(
          Int64(dy.columns), 1, dInputs.row(Int(order.row[slot])), du.row(slot / saved.routing.topK))
      }
      router.backward(
        dGates, saved.routing, balance: saved.balance, weights, gradients, into: dSteered, lane)
    }
  }

  /// One place for each member, written by whichever worker runs it.
  private final class Results: @unchecked Sendable {
    let saved: UnsafeMutableBufferPointer<MiniMoE.Saved?>
    init(_ count: Int) {
      saved = .allocate(capacity: count)
      saved.initialize(repeating: nil)
    }
    deinit {
      saved.deinitialize()
      saved.deallocate()
    }
  }
}
