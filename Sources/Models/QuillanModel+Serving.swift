import Layers
import LowBit
import Parameters
import Tensors

extension QuillanModel {
  /// Takes part, without tokens, in a micro-batch that other ranks of the expert group run through `trunk` and
  /// `backward`: computes this rank's mini-MoEs for them and adds the gradients and loads.
  ///
  /// - Parameter retention: the retention of the other ranks.
  public func serveOtherRanks(
    _ exchange: CouncilExchange, loads: RoutingLoads, retention: Retention, _ weights: PackedModel,
    _ gradients: Gradients, _ context: Context
  ) {
    let arena = context.arena
    arena.scoped {
      let none = arena.matrix(0, configuration.dim)
      let spans = ArenaList<Span>(capacity: 0, in: arena)
      let report = BalanceReport(
        terms: BalanceTerms(
          lengths: ArenaList(capacity: 0, in: arena), coefficients: ArenaList(capacity: 0, in: arena),
          layers: layers.count),
        members: council.members.count, loads: loads, in: arena)
      func forward(_ layer: TransformerLayer, _ report: BalanceReport) -> Council.Saved {
        council.forward(
          none, steered: none, router: layer.router, layer: layer.index, into: none,
          ForwardPassContext(
            council: council, spans: spans, weights: weights, report: report, exchange: exchange, context: context))
      }
      exchange.begin(report.terms)
      var saved = ArenaList<Council.Saved>(capacity: layers.count, in: arena)
      for layer in layers {
        let mark = arena.mark()
        let result = context.part(.layer(layer.index)) { forward(layer, report) }
        if retention == .everything { saved.append(result) } else { arena.release(mark) }
      }
      exchange.collect(into: report)
      guard retention != .nothing else { return }
      exchange.unit(gradients, context) { gradients in
        let pass = BackwardPassContext(
          council: council, spans: spans, weights: weights, gradients: gradients, exchange: exchange,
          context: context)
        for layer in layers.reversed() {
          context.part(.layer(layer.index, isBackward: true)) {
            arena.scoped {
              council.backward(
                none, retention == .everything ? saved[layer.index] : forward(layer, report.silent),
                router: layer.router, into: none, dSteered: none, pass)
            }
          }
        }
      }
    }
  }
}
