import CKernels
import LowBit
import Parameters
import Tensors

/// Operands of weight-gradient products that wait for the other layers' rows.
///
/// Every layer consults the same council, so a matrix gets a few rows from each of them. One product over all rows reads
/// and writes the gradient once instead of once per layer, and runs at the speed of long products (one thread, per row
/// and expert: 30.9 µs at 8 rows, 12.6 µs at 48, 9.5 µs at 192).
///
/// Rows are added in the order of the calls: layers as backward visits them, rows in order.
final class GradientLedger: @unchecked Sendable {
  private struct Entry {
    let matrix: Int
    let rows: Int
    /// Pairs of rows of dY times the input rows' scales [pairs, stride].
    let dy: UnsafeMutablePointer<UInt32>
    let input: QuantizedInput
  }

  private let store: ParameterStore
  private let arena: Arena
  /// One list for each tensor; a tensor's rows come from one thread at a time.
  private let entries: UnsafeMutableBufferPointer<[Entry]>

  init(_ store: ParameterStore, arena: Arena) {
    self.store = store
    self.arena = arena
    entries = .allocate(capacity: store.table.count)
    entries.initialize(repeating: [])
  }

  deinit {
    entries.deinitialize()
    entries.deallocate()
  }

  /// Notes rows of a product; both operands are copied.
  func add(_ id: ParameterID, matrix: Int, _ dy: Matrix, _ input: QuantizedInput) {
    let words = arena.allocate(UInt32.self, (dy.rows + 1) / 2 * Words.stride(dy.columns))
    Words.pairs(dy, rowScales: input.rowScales, into: words)
    entries[id.index].append(
      Entry(matrix: matrix, rows: dy.rows, dy: words, input: input.copy(in: arena)))
  }

  /// Adds all products to the gradients, each matrix on one thread.
  func close(_ context: Context) {
    let ids = entries.indices.filter { !entries[$0].isEmpty }
    // Contiguous parts of about equal work.
    let work = ids.map { index in
      entries[index].reduce(0) { $0 + $1.rows } * store.table[ParameterID(index)].outputs
        * store.table[ParameterID(index)].inputs
    }
    let total = work.reduce(0, +)
    let workers = context.pool.threads
    var before = 0
    let worker = work.map { amount in
      defer { before += amount }
      return min(workers - 1, (before + amount / 2) * workers / max(1, total))
    }
    context.pool.each(workers) { number, part in
      for (place, index) in ids.enumerated() where worker[place] == part {
        multiply(ParameterID(index), context.scratch[number])
      }
    }
  }

  private func multiply(_ id: ParameterID, _ scratch: Arena) {
    let list = entries[id.index]
    let specification = store.table[id]
    let outputs = specification.outputs
    let inputs = specification.inputs
    // Entries of one matrix in their order: a counting sort.
    scratch.scoped {
      let starts = scratch.allocate(Int32.self, specification.matrices + 1)
      starts.update(repeating: 0, count: specification.matrices + 1)
      for entry in list { starts[entry.matrix + 1] += 1 }
      for matrix in 0..<specification.matrices { starts[matrix + 1] += starts[matrix] }
      let order = scratch.allocate(Int32.self, list.count)
      let next = scratch.allocate(Int32.self, specification.matrices)
      next.update(from: starts, count: specification.matrices)
      for (place, entry) in list.enumerated() {
        order[Int(next[entry.matrix])] = Int32(place)
        next[entry.matrix] += 1
      }
      for matrix in 0..<specification.matrices where starts[matrix + 1] > starts[matrix] {
        scratch.scoped {
          let count = Int(starts[matrix + 1] - starts[matrix])
          let parts = scratch.allocate(ck_bf16_product.self, count)
          for part in 0..<count {
            let entry = list[Int(order[Int(starts[matrix]) + part])]
            let pairs = (entry.rows + 1) / 2
            let words = scratch.allocate(UInt32.self, pairs * Words.stride(inputs))
            entry.input.pairs(into: words, stride: Words.stride(inputs), scratch: scratch)
            parts[part] = ck_bf16_product(
              a: entry.dy, a_row: 1, a_pair: Int64(Words.stride(outputs)), b: words, b_panel: 16,
              b_pair: Int64(Words.stride(inputs)), pairs: Int64(pairs))
          }
          Kernels.table.pointee.gemm_bf16(
            Int64(outputs), Int64(inputs), parts, Int64(count), nil,
            store.pointer(id) + matrix * outputs * inputs, Int64(inputs), true)
        }
      }
    }
  }
}

/// Operands of bfloat16 gradient products.
enum Words {
  /// Words of one pair of rows of `columns` values: whole panels, and one more so that neighbouring pairs do not meet
  /// in one cache set.
  static func stride(_ columns: Int) -> Int { (columns + 15) / 16 * 16 + 16 }

  /// Pairs of rows of `x`, each row times its scale.
  static func pairs(_ x: Matrix, rowScales: UnsafePointer<Float>?, into words: UnsafeMutablePointer<UInt32>) {
    Kernels.table.pointee.bf16_pairs(
      Int64(x.rows), Int64(x.columns), x.pointer, Int64(x.columns), rowScales, words, Int64(stride(x.columns)))
  }
}
