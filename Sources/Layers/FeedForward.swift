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
    let input: QuantizedInput
    let preactivation: Matrix
    let hidden: QuantizedInput
  }

  /// Writes y [S, d].
  public func forward(
    _ input: QuantizedInput, offsets: Offsets, _ weights: PackedModel, into y: Matrix, _ lane: Lane
  ) -> Saved {
    let width = weights.weights(up.weight).rows
    let preactivation = lane.arena.matrix(input.rows, width)
    for (network, range) in offsets {
      up.forward(input.rows(range), matrix: network, weights, into: preactivation.rows(range), lane)
    }
    let hidden: QuantizedInput
    if weights.weights(down.weight).format.isInteger {
      hidden = lane.scratch.scoped {
        activate(preactivation, weights, activation: lane.scratch, lane)
      }
    } else {
      hidden = activate(preactivation, weights, activation: lane.arena, lane)
    }
    for (network, range) in offsets {
      down.forward(hidden.rows(range), matrix: network, weights, into: y.rows(range), lane)
    }
    return Saved(input: input, preactivation: preactivation, hidden: hidden)
  }

  private func activate(_ x: Matrix, _ weights: PackedModel, activation: Arena, _ lane: Lane) -> QuantizedInput {
    let values = activation.matrix(x.rows, x.columns)
    lane.pool.split(x.count, grain: 16, least: 16384) { _, range in
      Kernels.table.pointee.gelu(Int64(range.count), x.pointer + range.lowerBound, values.pointer + range.lowerBound)
    }
    return down.input(values, weights, lane)
  }

  /// Adds to `dx` [S, d] and to the gradients of the four parameters.
  ///
  /// With `gates` [S], row s of `dy` has the gradient of the gated sum. The gradient of the gate, ⟨dy, down(h) + b⟩ =
  /// ⟨dy·Ŵ, ĥ⟩ + ⟨dy, b⟩, is written to `dGates`, and `dy` is multiplied by the gate in place.
  public func backward(
    _ dy: Matrix, gates: UnsafePointer<Float>? = nil, dGates: UnsafeMutablePointer<Float>? = nil, _ saved: Saved,
    offsets: Offsets, _ weights: PackedModel, _ gradients: Gradients, into dx: Matrix, _ lane: Lane
  ) {
    let kernels = Kernels.table
    let scratch = lane.scratch
    scratch.scoped {
      let dHidden = scratch.zeros(dy.rows, saved.preactivation.columns)
      for (network, range) in offsets {
        down.inputGradient(dy.rows(range), matrix: network, weights, gradients, into: dHidden.rows(range), lane)
      }
      if let gates, let dGates {
        let hidden = saved.hidden.dequantized(in: scratch)
        for (network, range) in offsets {
          let bias = down.bias.map { weights.values($0) + network * dy.columns }
          for row in range {
            var gradient = kernels.pointee.dot(Int64(hidden.columns), dHidden.row(row), hidden.row(row))
            if let bias { gradient += kernels.pointee.dot(Int64(dy.columns), dy.row(row), bias) }
            dGates[row] = gradient
            let gate = gates[row]
            kernels.pointee.scale(Int64(dy.columns), gate, dy.row(row), dy.row(row))
            kernels.pointee.scale(Int64(hidden.columns), gate, dHidden.row(row), dHidden.row(row))
          }
        }
      }
      for (network, range) in offsets {
        down.parameterGradient(dy.rows(range), saved.hidden.rows(range), matrix: network, gradients, lane)
      }
      lane.pool.split(dHidden.count, grain: 16, least: 16384) { _, range in
        kernels.pointee.gelu_backward(
          Int64(range.count), saved.preactivation.pointer + range.lowerBound, dHidden.pointer + range.lowerBound)
      }
      for (network, range) in offsets {
        up.backward(
          dHidden.rows(range), saved.input.rows(range), matrix: network, weights, gradients, into: dx.rows(range), lane)
      }
    }
  }
}

/// The range of rows of each network of a stack. Iteration visits the networks that have rows.
public struct Offsets: Sequence, BitwiseCopyable, @unchecked Sendable {
  let starts: UnsafePointer<Int32>
  let count: Int

  /// `starts` has `count` + 1 entries.
  public init(_ starts: UnsafePointer<Int32>, count: Int) {
    self.starts = starts
    self.count = count
  }

  /// A single network that takes all rows.
  public init(all rows: Int, in arena: Arena) {
    let starts = arena.allocate(Int32.self, 2)
    starts[0] = 0
    starts[1] = Int32(rows)
    self.init(starts, count: 1)
  }

  public func makeIterator() -> Iterator { Iterator(offsets: self) }

  public struct Iterator: IteratorProtocol {
    let offsets: Offsets
    var position = 0

    public mutating func next() -> (network: Int, range: Range<Int>)? {
      while position < offsets.count {
        defer { position += 1 }
        let range = Int(offsets.starts[position])..<Int(offsets.starts[position + 1])
        if !range.isEmpty { return (position, range) }
      }
      return nil
    }
  }
}
