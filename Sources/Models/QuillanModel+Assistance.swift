import Layers
import LowBit
import Parameters
import Tensors

extension QuillanModel {
  /// Takes part, without tokens, in a micro-batch that other ranks of the expert group run through `trunk` and
  /// `backward`: computes this rank's mini-MoEs for them and adds the gradients and loads.
  ///
  /// - Parameter retention: the retention of the other ranks.
  public func assist(
    _ exchange: CouncilExchange, loads: RoutingLoads, retention: Retention, _ weights: PackedModel,
    _ gradients: Gradients, _ context: Context
  ) {
    context.arena.scoped {
      let none = context.arena.matrix(0, configuration.dim)
      let arena = context.arena
      let report = BalanceReport(
        terms: BalanceTerms(
          lengths: ArenaList(capacity: 0, in: arena), coefficients: ArenaList(capacity: 0, in: arena),
          layers: layers.count),
        members: council.members.count, loads: loads, in: arena)
      func forward(_ layer: TransformerLayer, _ report: BalanceReport) -> Council.Saved {
        council.forward(
          none, steered: none, router: layer.router, layer: layer.index, weights, report: report, exchange: exchange,
          into: none, context)
      }
      exchange.begin(report.terms)
      var saved = ArenaList<Council.Saved>(capacity: layers.count, in: context.arena)
      for layer in layers {
        let mark = context.arena.mark()
        let result = context.part(.layer(layer.index)) { forward(layer, report) }
        if retention == .everything { saved.append(result) } else { context.arena.release(mark) }
      }
      exchange.collect(into: report)
      guard retention != .nothing else { return }
      exchange.unit(gradients, context) { gradients in
        for layer in layers.reversed() {
          context.part(.layer(layer.index, isBackward: true)) {
            context.arena.scoped {
              council.backward(
                none, retention == .everything ? saved[layer.index] : forward(layer, report.silent),
                router: layer.router, weights, gradients, exchange: exchange, into: none, dSteered: none, context)
            }
          }
        }
      }
    }
  }
}
