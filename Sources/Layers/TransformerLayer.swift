import Parameters
import Tensors

/// One layer: x ← x + attention(norm(x)); u = norm(x); x ← x + Σ gate · MiniMoE_m(u), routed by u + c.
public struct TransformerLayer: Sendable {
  public let index: Int
  public let attentionNorm: RMSNorm
  public let attention: Attention
  public let moeNorm: RMSNorm
  public let router: Router

  public init(index: Int, attentionNorm: RMSNorm, attention: Attention, moeNorm: RMSNorm, router: Router) {
    self.index = index
    self.attentionNorm = attentionNorm
    self.attention = attention
    self.moeNorm = moeNorm
    self.router = router
  }

  public struct Saved: BitwiseCopyable, Sendable {
    let attentionNorm: RMSNorm.Saved
    let attention: Attention.Saved
    let moeNorm: RMSNorm.Saved
    let council: Council.Saved
    /// x after attention [T, d].
    public let afterAttention: Matrix
    /// Chosen mini-MoEs [T, k].
    public var chosen: UnsafeMutablePointer<Int32> { council.routing.chosen }
  }

  /// Writes the layer's output [T, d] for x [T, d] and the coordination c [T, d]. With `exchange`, all ranks of the
  /// expert group call it together.
  public func forward(
    _ x: Matrix, coordination c: Matrix, council: Council, spans: ArenaList<Span>, caches: [KeyValueCache]?,
    _ weights: PackedModel, report: BalanceReport?, exchange: CouncilExchange? = nil, into y: Matrix,
    _ context: Context
  ) -> Saved {
    let lane = context.main
    let arena = lane.arena
    let normalized = arena.matrix(x.rows, x.columns)
    let attentionNormSaved = attentionNorm.forward(x, weights, into: normalized, lane)
    let afterAttention = arena.matrix(x.rows, x.columns)
    let attentionSaved = attention.forward(
      normalized, spans: spans, caches: caches, layer: index, weights, into: afterAttention, context)
    Kernels.table.pointee.add_scaled(Int64(x.count), 1, x.pointer, afterAttention.pointer)
    let u = arena.matrix(x.rows, x.columns)
    let moeNormSaved = moeNorm.forward(afterAttention, weights, into: u, lane)
    let steered = arena.matrix(x.rows, x.columns)
    steered.copy(from: u)
    Kernels.table.pointee.add_scaled(Int64(x.count), 1, c.pointer, steered.pointer)
    y.copy(from: afterAttention)
    let councilSaved = council.forward(
      u, steered: steered, router: router, layer: index, weights, report: report, exchange: exchange, into: y,
      context)
    return Saved(
      attentionNorm: attentionNormSaved, attention: attentionSaved, moeNorm: moeNormSaved, council: councilSaved,
      afterAttention: afterAttention)
  }

  /// Replaces the gradient of the output by the gradient of the input, in place, and adds to `dCoordination`. Pass the
  /// `exchange` of the forward pass.
  public func backward(
    _ dx: Matrix, dCoordination: Matrix, _ saved: Saved, council: Council, spans: ArenaList<Span>,
    _ weights: PackedModel, _ gradients: Gradients, exchange: CouncilExchange? = nil, _ context: Context
  ) {
    let scratch = context.main.scratch
    scratch.scoped {
      let du = scratch.zeros(dx.rows, dx.columns)
      let dSteered = scratch.zeros(dx.rows, dx.columns)
      council.backward(
        dx, saved.council, router: router, weights, gradients, exchange: exchange, into: du, dSteered: dSteered,
        context)
      Kernels.table.pointee.add_scaled(Int64(dx.count), 1, dSteered.pointer, du.pointer)
      Kernels.table.pointee.add_scaled(Int64(dx.count), 1, dSteered.pointer, dCoordination.pointer)
      moeNorm.backward(du, saved.moeNorm, weights, gradients, into: dx)
      let dNormalized = scratch.zeros(dx.rows, dx.columns)
      attention.backward(dx, saved.attention, spans: spans, weights, gradients, into: dNormalized, context)
      attentionNorm.backward(dNormalized, saved.attentionNorm, weights, gradients, into: dx)
    }
  }
}
