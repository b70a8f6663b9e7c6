import Parameters
import Tensors

/// One layer: x ← x + attention(norm(x)); u = norm(x); x ← x + Σ gate · MiniMoE_m(u), routed by u + c.
///
/// Shapes: T tokens of the batch, d model width, k mini-MoEs of each token; x, u, c and the coordination [T, d].
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
    public var chosen: ArrayView<Int32> { council.routing.chosen }
  }

  /// Writes the layer's output [T, d] for x [T, d] and the coordination c [T, d]. With an exchange, all ranks of the
  /// expert group call it together.
  public func forward(_ x: Matrix, coordination c: Matrix, into y: Matrix, _ pass: ForwardPassContext) -> Saved {
    let main = pass.main
    let normalized = main.arena.matrix(x.rows, x.columns)
    let attentionNormSaved = attentionNorm.forward(x, into: normalized, main)
    let afterAttention = main.arena.matrix(x.rows, x.columns)
    let attentionSaved = attention.forward(normalized, layer: index, into: afterAttention, pass)
    afterAttention.add(x)
    let u = main.arena.matrix(x.rows, x.columns)
    let moeNormSaved = moeNorm.forward(afterAttention, into: u, main)
    let steered = main.arena.matrix(x.rows, x.columns)
    steered.copy(from: u)
    steered.add(c)
    y.copy(from: afterAttention)
    let councilSaved = pass.council.forward(u, steered: steered, router: router, layer: index, into: y, pass)
    return Saved(
      attentionNorm: attentionNormSaved, attention: attentionSaved, moeNorm: moeNormSaved, council: councilSaved,
      afterAttention: afterAttention)
  }

  /// Replaces the gradient of the output by the gradient of the input, in place, and adds to `dCoordination`.
  public func backward(_ dx: Matrix, dCoordination: Matrix, _ saved: Saved, _ pass: BackwardPassContext) {
    let main = pass.main
    main.scratch.scoped {
      let du = main.scratch.zeros(dx.rows, dx.columns)
      let dSteered = main.scratch.zeros(dx.rows, dx.columns)
      pass.council.backward(dx, saved.council, router: router, into: du, dSteered: dSteered, pass)
      du.add(dSteered)
      dCoordination.add(dSteered)
      moeNorm.backward(du, saved.moeNorm, into: dx, main)
      let dNormalized = main.scratch.zeros(dx.rows, dx.columns)
      attention.backward(dx, saved.attention, into: dNormalized, pass)
      attentionNorm.backward(dNormalized, saved.attentionNorm, into: dx, main)
    }
  }
}
