import LowBit
import Parameters
import Tensors

/// Causal multi-head attention without biases: softmax(q kᵀ / sqrt(h)) v with rotary positions, then `out`.
///
/// Shapes: T tokens of the batch, d model width, h = d / heads. The result of a query depends only on the keys and
/// values of its own sequence, taken in index order, so one query against a cache gives the same bits as the whole
/// sequence. Scores of four queries are held at a time: memory is O(T), never O(T²).
public struct Attention: Sendable {
  public let qkv: Linear
  public let out: Linear
  public let heads: Int
  public let rotary: RotaryEmbedding

  public init(qkv: Linear, out: Linear, heads: Int, rotary: RotaryEmbedding) {
    self.qkv = qkv
    self.out = out
    self.heads = heads
    self.rotary = rotary
  }

  private var headDim: Int { rotary.headDim }
  private var scale: Float { 1 / Float(headDim).squareRoot() }

  public struct Saved: BitwiseCopyable, @unchecked Sendable {
    let input: QuantizedInput
    let qkv: Matrix
    let maxima: UnsafeMutablePointer<Float>
    let inverses: UnsafeMutablePointer<Float>
    let attended: Matrix
    let outInput: QuantizedInput
  }

  /// Writes out(attention(x)) [T, d]. With `caches`, span i continues the sequence of cache i in layer `layer`.
  public func forward(
    _ x: Matrix, spans: ArenaList<Span>, caches: [KeyValueCache]?, layer: Int, _ weights: PackedModel, into y: Matrix,
    _ context: Context
  ) -> Saved {
    let lane = context.main
    let dim = x.columns
    let input = qkv.input(x, weights, lane)
    let projected = lane.arena.matrix(x.rows, 3 * dim)
    qkv.forward(input, weights, into: projected, lane)
    let maxima = UncheckedSendable(lane.arena.allocate(Float.self, heads * x.rows))
    let inverses = UncheckedSendable(lane.arena.allocate(Float.self, heads * x.rows))
    let attended = lane.arena.matrix(x.rows, dim)
    lane.scratch.scoped {
      let views = lane.scratch.allocate(KeyValueView.self, spans.count)
      for (index, span) in spans.enumerated() {
        views[index] = caches?[index].layer(layer) ?? temporaryView(span, lane.scratch)
      }
      context.pool.each(spans.count, least: max(1, 8192 / (x.rows * dim / max(1, spans.count) + 1))) { _, index in
        let span = spans[index]
        for offset in 0..<span.count {
          let row = projected.row(span.first + offset)
          rotary.apply(row, heads: 2 * heads, position: span.position + offset)
          views[index].store(position: span.position + offset, key: row + dim, value: row + 2 * dim)
        }
      }
      let work = spans.reduce(0) { $0 + $1.count * ($1.position + $1.count) } * headDim
      context.pool.each(spans.count * heads, least: max(1, spans.count * heads * 16384 / max(1, work))) {
        worker, index in
        let span = spans[index / heads]
        let head = index % heads
        let scratch = context.scratch[worker]
        scratch.scoped {
          let scores = scratch.allocate(Float.self, 4 * VectorLanes.padded(span.position + span.count))
          Kernels.table.pointee.attention(
            Int64(span.count), Int64(span.position), Int64(headDim), scale,
            projected.row(span.first) + head * headDim, Int64(3 * dim), views[index / heads].headKeys(head),
            views[index / heads].headValues(head), Int64(headDim), attended.row(span.first) + head * headDim,
            Int64(dim), maxima.value + head * x.rows + span.first, inverses.value + head * x.rows + span.first, scores)
        }
      }
    }
    let outInput = out.input(attended, weights, lane)
    out.forward(outInput, weights, into: y, lane)
    return Saved(
      input: input, qkv: projected, maxima: maxima.value, inverses: inverses.value, attended: attended,
      outInput: outInput)
  }

  private func temporaryView(_ span: Span, _ arena: Arena) -> KeyValueView {
    precondition(span.position == 0, "a span that starts at \(span.position) needs a cache")
    let count = KeyValueView.count(heads: heads, headDim: headDim, positions: span.count)
    return KeyValueView(
      keys: arena.allocate(Float.self, count), values: arena.allocate(Float.self, count), heads: heads,
      headDim: headDim, positions: span.count)
  }

  /// Adds to `dx` and to the gradients of the two weights. Whole sequences only.
  func backward(
    _ dy: Matrix, _ saved: Saved, spans: ArenaList<Span>, _ weights: PackedModel, _ gradients: Gradients,
    into dx: Matrix, _ context: Context
  ) {
    let lane = context.main
    let dim = dy.columns
    lane.scratch.scoped {
      let dAttended = lane.scratch.zeros(dy.rows, dim)
      out.backward(dy, saved.outInput, weights, gradients, into: dAttended, lane)
      let dProjected = lane.scratch.zeros(dy.rows, 3 * dim)
      context.pool.each(spans.count * heads) { worker, index in
        backwardHead(
          spans[index / heads], index % heads, saved, dAttended, dProjected, rows: dy.rows,
          scratch: context.scratch[worker])
      }
      for span in spans {
        for offset in 0..<span.count {
          rotary.apply(
            dProjected.row(span.first + offset), heads: 2 * heads, position: span.position + offset, inverse: true)
        }
      }
      qkv.backward(dProjected, saved.input, weights, gradients, into: dx, lane)
    }
  }

  private func backwardHead(
    _ span: Span, _ head: Int, _ saved: Saved, _ dAttended: Matrix, _ dProjected: Matrix, rows: Int, scratch: Arena
  ) {
    precondition(span.position == 0, "gradients of a span that starts at \(span.position)")
    let dim = dAttended.columns
    scratch.scoped {
      let blocked = VectorLanes.padded(span.count) * headDim
      let keys = scratch.allocate(Float.self, blocked)
      let values = scratch.allocate(Float.self, blocked)
      let q = saved.qkv.row(span.first) + head * headDim
      // Lanes after the last key are masked after the product, but they must not slow it down or spread NaN: clear
      // them.
      keys.update(repeating: 0, count: blocked)
      values.update(repeating: 0, count: blocked)
      for position in 0..<span.count {
        let row = q + position * 3 * dim
        KeyValueView.spread(row + dim, into: keys, position: position, headDim: headDim)
        KeyValueView.spread(row + 2 * dim, into: values, position: position, headDim: headDim)
      }
      let d = dProjected.row(span.first) + head * headDim
      Kernels.table.pointee.attention_backward(
        Int64(span.count), Int64(headDim), scale, q, q + dim, q + 2 * dim, Int64(3 * dim), keys, values,
        saved.attended.row(span.first) + head * headDim, dAttended.row(span.first) + head * headDim, Int64(dim),
        saved.maxima + head * rows + span.first, saved.inverses + head * rows + span.first, d, d + dim, d + 2 * dim,
        Int64(3 * dim), scratch.allocate(Float.self, 8 * VectorLanes.padded(span.count)))
    }
  }
}

/// Rows first..<first+count of a packed batch: consecutive positions of one sequence, starting at `position`.
public struct Span: BitwiseCopyable, Sendable, Equatable {
  public let first: Int
  public let count: Int
  public let position: Int

  public init(first: Int, count: Int, position: Int = 0) {
    self.first = first
    self.count = count
    self.position = position
  }
}
