import CKernels

/// The operands of causal attention of one head over one sequence: softmax(q kᵀ · scale) v.
///
/// Shapes: M queries at consecutive positions, h features of the head, S positions of keys and values rounded up to
/// sixteen.
public struct AttentionHead {
  /// Keys and values of a head in blocks of sixteen positions, which may lie anywhere in memory.
  public struct Blocks: BitwiseCopyable {
    /// The memory of each block [S/16].
    let memory: ArrayView<UnsafeMutablePointer<Float>>
    /// Where in a block the head's keys [h, 16] begin, so that one vector holds a feature of sixteen keys, and its values
    /// [16, h].
    let keys: Int
    let values: Int

    public init(_ memory: ArrayView<UnsafeMutablePointer<Float>>, keys: Int, values: Int) {
      self.memory = memory
      self.keys = keys
      self.values = values
    }
  }

  /// q [M, h].
  public var queries: MatrixPart
  public var scale: Float
  /// The result [M, h].
  public var output: MatrixPart
  /// The maximum of the scaled scores, and 1/Σ exp(score − maximum), of each query [M]; backward reads them.
  public var maxima: Vector
  public var inverses: Vector

  public init(queries: MatrixPart, scale: Float, output: MatrixPart, maxima: Vector, inverses: Vector) {
    precondition(
      output.rows == queries.rows && output.columns == queries.columns && maxima.count == queries.rows
        && inverses.count == queries.rows,
      "attention of [\(queries.rows), \(queries.columns)] into [\(output.rows), \(output.columns)]")
    self.queries = queries
    self.scale = scale
    self.output = output
    self.maxima = maxima
    self.inverses = inverses
  }

  /// Writes the output, maxima and inverses of queries at `position` and the positions after it.
  ///
  /// - Parameters:
  ///   - blocks: keys and values, from position 0.
  ///   - scratch: memory for the scores of four queries at a time.
  public func forward(position: Int, _ blocks: Blocks, scratch: Arena) {
    let span = VectorLanes.padded(position + queries.rows)
    precondition(
      blocks.memory.count * VectorLanes.count >= span,
      "attention of \(queries.rows) queries at \(position) to \(blocks.memory.count) blocks")
    scratch.scoped {
      blocks.memory.pointer.withMemoryRebound(to: UnsafePointer<Float>?.self, capacity: blocks.memory.count) { memory in
        var operands = ck_attention(
          head_dim: Int64(queries.columns), scale: scale, q: queries.pointer, q_row: Int64(queries.stride),
          blocks: memory, keys: Int64(blocks.keys), values: Int64(blocks.values), out: output.pointer,
          out_row: Int64(output.stride), maxima: maxima.pointer, inverses: inverses.pointer,
          scores: scratch.allocate(Float.self, 4 * span))
        Kernels.table.pointee.attention(Int64(queries.rows), Int64(position), &operands)
      }
    }
  }

  /// Adds to the gradients of q, k and v of a whole sequence, positions 0 to M − 1.
  ///
  /// - Parameters:
  ///   - keyRows: k [M, h].
  ///   - keys: k in blocks of sixteen positions [S/16, h, 16].
  ///   - values: v in the layout of `keys`.
  ///   - dOutput: the gradient of the output [M, h].
  ///   - gradients: of q, k and v [M, h], rows equally far apart.
  public func backward(
    keyRows: MatrixPart, keys: Vector, values: Vector, dOutput: MatrixPart,
    addingTo gradients: (queries: MatrixPart, keys: MatrixPart, values: MatrixPart), scratch: Arena
  ) {
    precondition(
      keyRows.stride == queries.stride && dOutput.stride == output.stride
        && gradients.keys.stride == gradients.queries.stride && gradients.values.stride == gradients.queries.stride,
      "operands of attention with different distances between rows")
    let span = VectorLanes.padded(queries.rows)
    precondition(keys.count >= span * queries.columns && values.count >= span * queries.columns, "blocks of a sequence")
    scratch.scoped {
      var operands = ck_attention_gradient(
        head_dim: Int64(queries.columns), scale: scale, q: queries.pointer, k: keyRows.pointer,
        row: Int64(queries.stride), keys: keys.pointer, values: values.pointer, out: output.pointer,
        dout: dOutput.pointer, out_row: Int64(output.stride), maxima: maxima.pointer, inverses: inverses.pointer,
        dq: gradients.queries.pointer, dk: gradients.keys.pointer, dv: gradients.values.pointer,
        gradient_row: Int64(gradients.queries.stride), scratch: scratch.allocate(Float.self, 8 * span))
      Kernels.table.pointee.attention_backward(Int64(queries.rows), &operands)
    }
  }
}

extension AttentionHead.Blocks {
  /// Blocks of one head that lie one after another, each as keys [h, 16] and values [16, h].
  public init(of numbers: Vector, features: Int, in arena: Arena) {
    let size = 2 * VectorLanes.count * features
    precondition(numbers.count.isMultiple(of: size), "\(numbers.count) numbers in blocks of \(size)")
    let memory = arena.view(UnsafeMutablePointer<Float>.self, numbers.count / size)
    for block in memory.indices { memory[block] = numbers.pointer + block * size }
    self.init(memory, keys: 0, values: size / 2)
  }
}
