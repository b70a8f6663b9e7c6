import Foundation
import LowBit
import Parameters
import Tensors

/// time(n) = down(gelu(up(sinusoid(n)))) for noise levels n = 0…N, in fp32;
/// sinusoid(n) = [sin(n ω_i), cos(n ω_i)], ω_i = 10000^(−i/(d/2 − 1)).
///
/// The N + 1 rows are computed once per packing and kept in `PackedModel.derived`.
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

  public func table(_ weights: PackedModel) -> UnsafePointer<Float> { UnsafePointer(weights.derived.pointer) }

  /// Recomputes the table; call after packing.
  public func refresh(_ weights: PackedModel, _ lane: Lane) {
    lane.arena.scoped {
      let output = Matrix(weights.derived.pointer, rows: steps + 1, columns: dim)
      _ = forward(weights, into: output, lane)
    }
  }

  private func forward(_ weights: PackedModel, into output: Matrix, _ lane: Lane) -> FeedForward.Saved {
    let input = network.up.input(sinusoids(lane.arena), weights, lane)
    return network.forward(
      input, offsets: Offsets(all: steps + 1, in: lane.arena), weights, into: output, lane)
  }

  private func sinusoids(_ arena: Arena) -> Matrix {
    let out = arena.matrix(steps + 1, dim)
    let half = dim / 2
    for n in 0...steps {
      for index in 0..<half {
        let frequency = half > 1 ? pow(10000, -Double(index) / Double(half - 1)) : 1
        out.row(n)[index] = Float(sin(Double(n) * frequency))
        out.row(n)[half + index] = Float(cos(Double(n) * frequency))
      }
    }
    return out
  }

  /// Adds the gradients of the parameters, given rows `dh` [T, d] at noise levels `steps` [T].
  func backward(
    _ dh: Matrix, steps levels: UnsafePointer<Int32>, _ weights: PackedModel, _ gradients: Gradients, _ lane: Lane
  ) {
    let exact = Gradients(gradients.store, mixedPrecision: false)
    lane.arena.scoped {
      let dTable = lane.arena.zeros(steps + 1, dim)
      for row in 0..<dh.rows {
        Kernels.table.pointee.add_scaled(Int64(dim), 1, dh.row(row), dTable.row(Int(levels[row])))
      }
      let output = lane.arena.matrix(steps + 1, dim)
      let saved = forward(weights, into: output, lane)
      let unused = lane.arena.zeros(steps + 1, dim)
      network.backward(
        dTable, saved, offsets: Offsets(all: steps + 1, in: lane.arena), weights, exact, into: unused, lane)
    }
  }
}
