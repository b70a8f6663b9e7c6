import LowBit
import Parameters
import Tensors

/// down(gelu(up(x))), or a stack of such networks over rows sorted by network.
///
/// Shapes: S rows, E networks, f hidden width; network e takes rows offsets[e]..<offsets[e+1]; up [E, f, d], down [E,
/// d, f].
public struct FeedForward: Sendable {
  public let up: Linear
  public let down: Linear

  public init(up: Linear, down: Linear) {
    self.up = up
    self.down = down
  }

  public struct Saved: BitwiseCopyable, Sendable {
    let offsets: Offsets
    let input: QuantizedInput
    /// up(x) [S, f].
    let preactivation: Matrix
    let hidden: QuantizedInput
  }

  /// Factors of the rows of a gated sum, and where their gradients go [S].
  public struct Gates {
    let values: Vector
    let gradients: Vector

    public init(_ values: Vector, gradients: Vector) {
      self.values = values
      self.gradients = gradients
    }
  }

  /// Writes y [S, d].
  public func forward(_ input: QuantizedInput, offsets: Offsets, into y: Matrix, _ pass: ForwardLane) -> Saved {
    let preactivation = pass.arena.matrix(input.rows, pass.weights.weights(up.weight).rows)
    multiply(up, input, offsets, into: preactivation, pass)
    let hidden = activated(preactivation, pass)
    multiply(down, hidden, offsets, into: y, pass)
    return Saved(offsets: offsets, input: input, preactivation: preactivation, hidden: hidden)
  }

  /// The products of all networks. If several have rows, they are one loop, whose threads take panels of any network.
  private func multiply(
    _ linear: Linear, _ input: QuantizedInput, _ offsets: Offsets, into out: Matrix, _ pass: ForwardLane
  ) {
    let weights = pass.weights.weights(linear.weight)
    let pool = pass.pool.limited(multiplyAdds: input.rows * weights.columns * weights.rows)
    let networks = offsets.reduce(0) { count, _ in count + 1 }
    guard pool.threads > 1, networks > 1 else {
      for (network, range) in offsets {
        linear.forward(input.rows(range), matrix: network, into: out.rows(range), pass)
      }
      return
    }
    pass.scratch.scoped {
      var parts = ArenaList<NetworkRows>(capacity: networks, in: pass.scratch)
      for (network, range) in offsets {
        parts.append(NetworkRows(network: network, first: range.lowerBound, count: range.count))
      }
      pool.split(networks * weights.panels) { _, range in
        var index = range.lowerBound
        while index < range.upperBound {
          let (part, first) = (parts[index / weights.panels], index % weights.panels)
          let panels = first..<min(weights.panels, first + range.upperBound - index)
          input.rows(part.rows).multiply(
            by: weights, matrix: part.network, panels: panels,
            bias: linear.bias.map { pass.weights.rows($0)[part.network] },
            into: out.part(rows: part.rows, columns: weights.outputs(panels)))
          index += panels.count
        }
      }
    }
  }

  /// The rows of one network of a stack.
  private struct NetworkRows: BitwiseCopyable {
    let network: Int
    let first: Int
    let count: Int
    var rows: Range<Int> { first..<first + count }
  }

  /// gelu(x), quantised for `down`. Only floating formats keep the fp32 values, so integer formats compute them in
  /// scratch memory.
  private func activated(_ x: Matrix, _ pass: ForwardLane) -> QuantizedInput {
    func quantized(in memory: Arena) -> QuantizedInput {
      let values = memory.matrix(x.rows, x.columns)
      x.gelu(into: values, pass.pool)
      return down.input(values, pass)
    }
    guard pass.weights.weights(down.weight).format.isInteger else { return quantized(in: pass.arena) }
    return pass.scratch.scoped { quantized(in: pass.scratch) }
  }

  /// Adds to `dx` [S, d] and to the gradients of the four parameters.
  ///
  /// With `gates` [S], row s of `dy` has the gradient of the gated sum. The gradient of the gate, ⟨dy, down(h) + b⟩ =
  /// ⟨dy·Ŵ, ĥ⟩ + ⟨dy, b⟩, is written to the gates' gradients, and `dy` is multiplied by the gate in place.
  public func backward(_ dy: Matrix, gates: Gates? = nil, _ saved: Saved, into dx: Matrix, _ pass: BackwardLane) {
    let offsets = saved.offsets
    pass.scratch.scoped {
      let dHidden = pass.scratch.zeros(dy.rows, saved.preactivation.columns)
      for (network, range) in offsets {
        down.inputGradient(dy.rows(range), matrix: network, into: dHidden.rows(range), pass)
      }
      if let gates { applyGates(gates, dy, dHidden, saved, pass) }
      for (network, range) in offsets {
        down.parameterGradient(dy.rows(range), saved.hidden.rows(range), matrix: network, pass)
      }
      saved.preactivation.geluBackward(dHidden, pass.pool)
      for (network, range) in offsets {
        up.backward(dHidden.rows(range), saved.input.rows(range), matrix: network, into: dx.rows(range), pass)
      }
    }
  }

  /// Writes the gradients of the gates, and multiplies rows of `dy` [S, d] and `dHidden` [S, f] by their gates.
  private func applyGates(_ gates: Gates, _ dy: Matrix, _ dHidden: Matrix, _ saved: Saved, _ pass: BackwardLane) {
    let hidden = saved.hidden.dequantized(in: pass.scratch)
    for (network, range) in saved.offsets {
      let bias = down.bias.map { pass.weights.rows($0)[network] }
      for row in range {
        var gradient = dHidden[row].dot(hidden[row])
        if let bias { gradient += dy[row].dot(bias) }
        gates.gradients[row] = gradient
        dy[row].scale(by: gates.values[row])
        dHidden[row].scale(by: gates.values[row])
      }
    }
  }
}
