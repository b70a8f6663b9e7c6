import Foundation
import LowBit
import Parameters
import Tensors

/// time(n) = down(gelu(up(sinusoid(n)))) for noise levels n = 0…N, in fp32;
/// sinusoid(n) = [sin(n ω_i), cos(n ω_i)], ω_i = 10000^(−i/(d/2 − 1)).
///
/// The N + 1 rows are computed once per packing and kept in `PackedModel.derived`. Shapes: T positions, d model width.
public struct TimeEmbedding: Sendable {
  public let network: FeedForward
  public let steps: Int
  public let dim: Int

  public init(network: FeedForward, steps: Int, dim: Int) {
    self.network = network
    self.steps = steps
    self.dim = dim
  }

  /// Number of values of the table: (N + 1)·d.
  public var count: Int { (steps + 1) * dim }

  /// time(n) of every noise level [N + 1, d].
  public func table(_ weights: PackedModel) -> Matrix {
    Matrix(weights.derived.pointer, rows: steps + 1, columns: dim)
  }

  /// Recomputes the table; call after packing.
  public func refresh(_ pass: ForwardLane) {
    pass.arena.scoped { _ = forward(into: table(pass.weights), pass) }
  }

  private func forward(into output: Matrix, _ pass: ForwardLane) -> FeedForward.Saved {
    network.forward(
      network.up.input(sinusoids(pass.arena), pass), offsets: Offsets(all: steps + 1, in: pass.arena), into: output,
      pass)
  }

  private func sinusoids(_ arena: Arena) -> Matrix {
    let out = arena.matrix(steps + 1, dim)
    let half = dim / 2
    for n in 0...steps {
      for index in 0..<half {
        let frequency = half > 1 ? pow(10000, -Double(index) / Double(half - 1)) : 1
        out[n][index] = Float(sin(Double(n) * frequency))
        out[n][half + index] = Float(cos(Double(n) * frequency))
      }
    }
    return out
  }

  /// Adds the gradients of the parameters, given rows `dh` [T, d] at noise levels n [T].
  func backward(_ dh: Matrix, levels: ArrayView<Int32>, _ pass: BackwardLane) {
    // The network is fp32 in every configuration, so are its gradients.
    let exact = BackwardLane(pass.weights, Gradients(pass.gradients.store, mixedPrecision: false), pass.lane)
    pass.arena.scoped {
      let dTable = pass.arena.zeros(steps + 1, dim)
      for row in 0..<dh.rows { dTable[Int(levels[row])].add(dh[row]) }
      let saved = forward(into: pass.arena.matrix(steps + 1, dim), pass.forward)
      let unused = pass.arena.zeros(steps + 1, dim)
      network.backward(dTable, saved, into: unused, exact)
    }
  }
}
