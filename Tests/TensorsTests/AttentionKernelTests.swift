import CKernels
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Attention kernels")
struct AttentionKernelTests {
  /// One head's queries, keys and values [tokens, 3, headDim], and the blocked copies that the kernels read.
  struct Head {
    let tokens: Int
    let headDim: Int
    var qkv: [Float]
    var row: Int { 3 * headDim }

    init(tokens: Int, headDim: Int, _ numbers: inout RandomNumbers) {
      self.tokens = tokens
      self.headDim = headDim
      qkv = numbers.normals(tokens * 3 * headDim)
    }

    /// [block, headDim, 16] of part 1 (keys) or 2 (values), with `padding` beyond the last token.
    func blocked(part: Int, padding: Float) -> [Float] {
      var out = [Float](repeating: padding, count: (tokens + 15) / 16 * 16 * headDim)
      for token in 0..<tokens {
        for index in 0..<headDim {
          out[(token / 16 * headDim + index) * 16 + token % 16] = qkv[token * row + part * headDim + index]
        }
      }
      return out
    }

    /// Each block's keys [headDim, 16] and, behind them, values [16, headDim], with `padding` beyond the last token.
    /// Blocks are in memory of their own, in falling order.
    func blocks(padding: Float, in arena: Arena) -> ArrayView<UnsafePointer<Float>?> {
      let size = 16 * headDim
      let keys = blocked(part: 1, padding: padding)
      let memory = arena.view(repeating: padding, count: 2 * keys.count)
      let table = arena.view(repeating: UnsafePointer<Float>?.none, count: keys.count / size)
      for block in table.indices {
        let part = memory.part(2 * size * (table.count - 1 - block)..<2 * size * (table.count - block))
        part.part(0..<size).copy(from: arena.view(of: Array(keys[block * size..<(block + 1) * size])))
        for token in 16 * block..<min(tokens, 16 * block + 16) {
          for index in 0..<headDim {
            part[size + token % 16 * headDim + index] = qkv[token * row + 2 * headDim + index]
          }
        }
        table[block] = UnsafePointer(part.pointer)
      }
      return table
    }

    /// Attention of queries first..<first+count against all earlier tokens, and the kernel's maxima and inverses.
    func attend(
      _ table: KernelTable, first: Int = 0, count: Int? = nil, padding: Float = 0
    ) -> (out: [Float], maxima: [Float], inverses: [Float]) {
      let count = count ?? tokens
      let arena = Arena()
      let x = arena.view(of: qkv)
      let (out, maxima, inverses) = (arena.vector(count * headDim), arena.vector(count), arena.vector(count))
      var operands = ck_attention(
        head_dim: Int64(headDim), scale: scale, q: x.pointer + first * row, q_row: Int64(row),
        blocks: blocks(padding: padding, in: arena).pointer, keys: 0, values: Int64(16 * headDim), out: out.pointer,
        out_row: Int64(headDim), maxima: maxima.pointer,
        inverses: inverses.pointer,
        scores: arena.view(repeating: Float.nan, count: 4 * ((tokens + 15) / 16 * 16)).pointer)
      table.pointer.pointee.attention(Int64(count), Int64(first), &operands)
      return (Array(out), Array(maxima), Array(inverses))
    }

    var scale: Float { 1 / Float(headDim).squareRoot() }
  }

  @Test("Every query equals the scalar specification bit for bit", arguments: KernelTable.all)
  func specification(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 10)
    for headDim in [1, 2, 3, 8, 15, 16, 17, 33, 64] {
      for tokens in [1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 66] {
        let head = Head(tokens: tokens, headDim: headDim, &numbers)
        let out = head.attend(table).out
        for query in 0..<tokens {
          var expected = [Float](repeating: 0, count: headDim)
          head.qkv.withUnsafeBufferPointer {
            let base = $0.baseAddress!
            ck_reference_attention(
              Int64(query), Int64(headDim), head.scale, base + query * head.row, base + headDim, Int64(head.row),
              base + 2 * headDim, Int64(head.row), &expected)
          }
          #expect(
            sameBits(Array(out[query * headDim..<(query + 1) * headDim]), expected),
            "query \(query) of \(tokens), \(headDim) features")
        }
      }
    }
  }

  @Test("Queries in any grouping, and any numbers in the unused lanes, give the same bits", arguments: KernelTable.all)
  func groupingAndPadding(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 11)
    for headDim in [10, 16] {
      let head = Head(tokens: 37, headDim: headDim, &numbers)
      let whole = head.attend(table)
      for padding: Float in [.nan, .infinity, -3e38, 0x1p-133] {
        #expect(sameBits(head.attend(table, padding: padding).out, whole.out))
      }
      for size in [1, 2, 3, 5, 7, 36] {
        var first = 0
        while first < 37 {
          let count = min(size, 37 - first)
          let part = head.attend(table, first: first, count: count)
          #expect(sameBits(part.out, Array(whole.out[first * headDim..<(first + count) * headDim])))
          #expect(sameBits(part.maxima, Array(whole.maxima[first..<first + count])))
          #expect(sameBits(part.inverses, Array(whole.inverses[first..<first + count])))
          first += count
        }
      }
    }
  }

  @Test("The backward pass agrees with difference quotients in double, and between sets bit for bit")
  func backward() {
    var numbers = RandomNumbers(seed: 12)
    for (tokens, headDim) in [(1, 4), (5, 3), (18, 16), (21, 17)] {
      let head = Head(tokens: tokens, headDim: headDim, &numbers)
      let projection = numbers.normals(tokens * headDim)
      let gradients = KernelTable.all.map { gradient($0, head, projection) }
      for other in gradients { #expect(sameBits(other, gradients[0])) }
      for _ in 0..<60 {
        let index = numbers.integer(below: head.qkv.count)
        let h = 1e-5
        let slope =
          (exactLoss(head, projection, index, h) - exactLoss(head, projection, index, -h)) / (2 * h)
        #expect(abs(slope - Double(gradients[0][index])) < 2e-5, "element \(index), \(tokens) tokens")
      }
    }
  }

  private func gradient(_ table: KernelTable, _ head: Head, _ dOut: [Float]) -> [Float] {
    let (out, maxima, inverses) = head.attend(table)
    let arena = Arena()
    let d = arena.view(repeating: Float(0), count: head.qkv.count)
    let (x, dx, width) = (arena.view(of: head.qkv).pointer, d.pointer, head.headDim)
    var operands = ck_attention_gradient(
      head_dim: Int64(width), scale: head.scale, q: x, k: x + width, row: Int64(head.row),
      keys: arena.view(of: head.blocked(part: 1, padding: 0)).pointer,
      values: arena.view(of: head.blocked(part: 2, padding: 0)).pointer, out: arena.view(of: out).pointer,
      dout: arena.view(of: dOut).pointer, out_row: Int64(width), maxima: arena.view(of: maxima).pointer,
      inverses: arena.view(of: inverses).pointer, dq: dx, dk: dx + width, dv: dx + 2 * width,
      gradient_row: Int64(head.row),
      scratch: arena.view(repeating: Float.nan, count: 8 * ((head.tokens + 15) / 16 * 16)).pointer)
    table.pointer.pointee.attention_backward(Int64(head.tokens), &operands)
    return Array(d)
  }

  /// ⟨projection, attention⟩ in double with element `index` moved by `change`.
  private func exactLoss(_ head: Head, _ projection: [Float], _ index: Int, _ change: Double) -> Double {
    var x = head.qkv.map(Double.init)
    x[index] += change
    let (row, width) = (head.row, head.headDim)
    var loss = 0.0
    for query in 0..<head.tokens {
      let weights = (0...query).map { key -> Double in
        var score = 0.0
        for feature in 0..<width { score += x[query * row + feature] * x[key * row + width + feature] }
        return exp(score / Double(width).squareRoot())
      }
      let sum = weights.reduce(0, +)
      for (key, weight) in weights.enumerated() {
        for feature in 0..<width {
          let value = x[key * row + 2 * width + feature]
          loss += Double(projection[query * width + feature]) * weight / sum * value
        }
      }
    }
    return loss
  }
}
