import LowBit
import Parameters
import Tensors

/// Causal multi-head attention without biases: softmax(q kᵀ / sqrt(h)) v with rotary positions, then `out`.
///
/// Shapes: T tokens of the batch, d model width, h = d / heads features of a head. The result of a query depends only on
/// the keys and values of its own sequence, taken in index order, so one query against a cache gives the same bits as
/// the whole sequence. Scores of four queries are held at a time: memory is O(T), never O(T²).
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

  public struct Saved: BitwiseCopyable, Sendable {
    let input: QuantizedInput
    let heads: Heads
    let outInput: QuantizedInput
  }

  /// The operands and results of all heads.
  struct Heads: BitwiseCopyable, Sendable {
    /// Queries, keys and values after rotation [T, 3 · d].
    let qkv: Matrix
    /// Of each query's scores, as `AttentionHead` gives them [heads, T].
    let maxima: Matrix
    let inverses: Matrix
    /// Results [T, d].
    let attended: Matrix
  }

  /// Writes out(attention(x)) [T, d] of layer `layer`.
  public func forward(_ x: Matrix, layer: Int, into y: Matrix, _ pass: ForwardPassContext) -> Saved {
    let (main, context, spans) = (pass.main, pass.context, pass.spans)
    let dim = x.columns
    let input = qkv.input(x, main)
    let all = Heads(
      qkv: main.arena.matrix(x.rows, 3 * dim), maxima: main.arena.matrix(heads, x.rows),
      inverses: main.arena.matrix(heads, x.rows), attended: main.arena.matrix(x.rows, dim))
    qkv.forward(input, into: all.qkv, main)
    main.scratch.scoped {
      let views = main.scratch.view(KeyValueView.self, spans.count)
      for (index, span) in spans.enumerated() {
        views[index] = pass.caches?[index].layer(layer) ?? temporaryView(span, main.scratch)
      }
      // All keys of a sequence must be stored before its first query, so this is a loop of its own.
      context.pool.each(spans.count, cost: .scalar(x.rows * dim / max(1, spans.count) + 1)) { _, index in
        store(spans[index], all.qkv, in: views[index])
      }
      // Query t of a sequence meets t + 1 keys in two products.
      let work = spans.reduce(0) { $0 + $1.count * (2 * $1.position + $1.count) } * headDim
      context.pool.each(spans.count * heads, cost: .multiplyAdds(work / max(1, spans.count))) { worker, index in
        let (span, head) = (spans[index / heads], index % heads)
        operands(head, span, all).forward(
          position: span.position, views[index / heads].blocks(head), scratch: context.scratch[worker])
      }
    }
    let outInput = out.input(all.attended, main)
    out.forward(outInput, into: y, main)
    return Saved(input: input, heads: all, outInput: outInput)
  }

  /// Rotates the queries and keys of one sequence in place, and stores its keys and values.
  private func store(_ span: Span, _ projected: Matrix, in view: KeyValueView) {
    let dim = heads * headDim
    for offset in 0..<span.count {
      let row = projected[span.first + offset]
      rotary.apply(row, heads: 2 * heads, position: span.position + offset)
      view.store(position: span.position + offset, key: row.part(dim..<2 * dim), value: row.part(2 * dim..<3 * dim))
    }
  }

  /// The operands of one head over one sequence.
  private func operands(_ head: Int, _ span: Span, _ all: Heads) -> AttentionHead {
    AttentionHead(
      queries: part(0, of: all.qkv, head, span), scale: scale, output: part(0, of: all.attended, head, span),
      maxima: all.maxima[head].part(span.rows),
      inverses: all.inverses[head].part(span.rows))
  }

  /// The columns of one head in block `block` of `x` [T, blocks · d] (queries, keys, values), for the rows of a sequence.
  private func part(_ block: Int, of x: Matrix, _ head: Int, _ span: Span) -> MatrixPart {
    let first = (block * heads + head) * headDim
    return x.part(rows: span.rows, columns: first..<first + headDim)
  }

  private func temporaryView(_ span: Span, _ arena: Arena) -> KeyValueView {
    precondition(span.position == 0, "a span that starts at \(span.position) needs a cache")
    return KeyValueView(heads: heads, headDim: headDim, positions: span.count, in: arena)
  }

  /// Adds to `dx` and to the gradients of the two weights. Whole sequences only.
  func backward(_ dy: Matrix, _ saved: Saved, into dx: Matrix, _ pass: BackwardPassContext) {
    let (main, context, spans) = (pass.main, pass.context, pass.spans)
    let dim = dy.columns
    main.scratch.scoped {
      let dAttended = main.scratch.zeros(dy.rows, dim)
      out.backward(dy, saved.outInput, into: dAttended, main)
      let dProjected = main.scratch.zeros(dy.rows, 3 * dim)
      context.pool.each(spans.count * heads) { worker, index in
        backwardHead(index % heads, spans[index / heads], saved.heads, dAttended, dProjected, context.scratch[worker])
      }
      for span in spans {
        for offset in 0..<span.count {
          rotary.apply(
            dProjected[span.first + offset], heads: 2 * heads, position: span.position + offset, inverse: true)
        }
      }
      qkv.backward(dProjected, saved.input, into: dx, main)
    }
  }

  private func backwardHead(
    _ head: Int, _ span: Span, _ all: Heads, _ dAttended: Matrix, _ dProjected: Matrix, _ scratch: Arena
  ) {
    precondition(span.position == 0, "gradients of a span that starts at \(span.position)")
    scratch.scoped {
      let (keyRows, valueRows) = (part(1, of: all.qkv, head, span), part(2, of: all.qkv, head, span))
      let count = VectorLanes.padded(span.count) * headDim
      // Lanes after the last key are masked after the product, but they must not slow it down or spread NaN: clear
      // them.
      let keys = scratch.view(repeating: Float(0), count: count)
      let values = scratch.view(repeating: Float(0), count: count)
      for position in 0..<span.count {
        KeyValueView.spread(keyRows[position], into: keys, position: position)
        KeyValueView.spread(valueRows[position], into: values, position: position)
      }
      operands(head, span, all).backward(
        keyRows: keyRows, keys: keys, values: values, dOutput: part(0, of: dAttended, head, span),
        addingTo: (
          queries: part(0, of: dProjected, head, span), keys: part(1, of: dProjected, head, span),
          values: part(2, of: dProjected, head, span)
        ), scratch: scratch)
    }
  }
}
