import CKernels
import LowBit
import Parameters
import Tensors

/// Defers weight-gradient products of the council until all layers have contributed their rows.
///
/// Every layer consults the same council, so each matrix gets a few rows from each layer. One product over all rows
/// reads and writes the gradient once instead of once per layer, and runs at the speed of a long product (one thread,
/// per row and expert: 30.9 µs at 8 rows, 12.6 µs at 48, 9.5 µs at 192).
///
/// Rows are added in the order of the calls: layers as the backward pass visits them, rows in order. All memory is the
/// arena's.
struct GradientLedger: @unchecked Sendable {
  /// The rows that one call contributed to a product.
  private struct Entry: BitwiseCopyable {
    let matrix: Int
    let rows: Int
    /// Pairs of rows of dY, multiplied by the scales of the input rows [pairs, stride].
    let dy: UnsafeMutablePointer<UInt32>
    let input: QuantizedInput
    /// The next entry of the same tensor.
    var next: UnsafeMutablePointer<Entry>?
  }

  /// The entries of one tensor, in order.
  private struct Entries: Sequence, BitwiseCopyable {
    private var first: UnsafeMutablePointer<Entry>?
    private var last: UnsafeMutablePointer<Entry>?
    private(set) var count = 0
    /// Number of rows of all entries.
    private(set) var rows = 0

    mutating func append(_ entry: Entry, in arena: Arena) {
      let place = arena.allocate(Entry.self, 1)
      place.initialize(to: entry)
      if let last { last.pointee.next = place } else { first = place }
      last = place
      count += 1
      rows += entry.rows
    }

    func makeIterator() -> Iterator { Iterator(entry: first) }

    struct Iterator: IteratorProtocol {
      var entry: UnsafeMutablePointer<Entry>?

      mutating func next() -> UnsafeMutablePointer<Entry>? {
        defer { entry = entry?.pointee.next }
        return entry
      }
    }
  }

  private let store: ParameterStore
  private let sums: UnitSums?
  private let arena: Arena
  /// The entries of each tensor. Rows of a tensor come from one thread at a time.
  private let entries: UnsafeMutablePointer<Entries>

  /// - Parameter sums: if not nil, products are added here instead of to `store`.
  init(_ store: ParameterStore, sums: UnitSums?, arena: Arena) {
    self.store = store
    self.sums = sums
    self.arena = arena
    entries = arena.allocate(Entries.self, store.table.count)
    entries.initialize(repeating: Entries(), count: store.table.count)
  }

  /// Records the rows of a product. Both operands are copied.
  func add(_ id: ParameterID, matrix: Int, _ dy: Matrix, _ input: QuantizedInput) {
    let words = arena.allocate(UInt32.self, (dy.rows + 1) / 2 * Words.stride(dy.columns))
    Words.pairs(dy, rowScales: input.rowScales, into: words)
    entries[id.index].append(
      Entry(matrix: matrix, rows: dy.rows, dy: words, input: input.copy(in: arena), next: nil), in: arena)
  }

  /// Whether the ledger has rows of a tensor.
  func takes(_ id: ParameterID) -> Bool { entries[id.index].count > 0 }

  /// Adds all products to the gradients, each tensor on one thread. `observer` is told as each tensor is complete.
  func close(_ context: Context, _ observer: (any GradientObserver)?) {
    let workers = context.pool.threads
    let tensors = 0..<store.table.count
    // Give each tensor to the thread with the least work, so that loads are even and tensors finish approximately in
    // order.
    let worker = arena.allocate(Int.self, tensors.count)
    let busy = arena.allocate(Int.self, workers)
    busy.update(repeating: 0, count: workers)
    for index in tensors where takes(ParameterID(index)) {
      let idlest = (0..<workers).reduce(0) { busy[$1] < busy[$0] ? $1 : $0 }
      worker[index] = idlest
      busy[idlest] += work(index)
    }
    context.pool.each(workers) { number, part in
      for index in tensors where takes(ParameterID(index)) && worker[index] == part {
        // Thread 0 of a pool is the caller's; only that thread may use MPI.
        multiply(ParameterID(index), context.scratch[number]) { if number == 0 { observer?.progress() } }
        observer?.isFinal(ParameterID(index))
      }
    }
  }

  /// Number of multiplications of a tensor's products.
  private func work(_ index: Int) -> Int {
    let specification = store.table[ParameterID(index)]
    return entries[index].rows * specification.outputs * specification.inputs
  }

  /// - Parameter progress: called after each matrix.
  private func multiply(_ id: ParameterID, _ scratch: Arena, progress: () -> Void) {
    let list = entries[id.index]
    let specification = store.table[id]
    let outputs = specification.outputs
    let inputs = specification.inputs
    // Group the entries by matrix, in order: a counting sort.
    scratch.scoped {
      let starts = scratch.allocate(Int32.self, specification.matrices + 1)
      starts.update(repeating: 0, count: specification.matrices + 1)
      for entry in list { starts[entry.pointee.matrix + 1] += 1 }
      for matrix in 0..<specification.matrices { starts[matrix + 1] += starts[matrix] }
      let order = scratch.allocate(UnsafeMutablePointer<Entry>.self, list.count)
      let next = scratch.allocate(Int32.self, specification.matrices)
      next.update(from: starts, count: specification.matrices)
      for entry in list {
        order[Int(next[entry.pointee.matrix])] = entry
        next[entry.pointee.matrix] += 1
      }
      for matrix in 0..<specification.matrices where starts[matrix + 1] > starts[matrix] {
        scratch.scoped {
          let count = Int(starts[matrix + 1] - starts[matrix])
          let parts = scratch.allocate(ck_bf16_product.self, count)
          for part in 0..<count {
            let entry = order[Int(starts[matrix]) + part].pointee
            let pairs = (entry.rows + 1) / 2
            let words = scratch.allocate(UInt32.self, pairs * Words.stride(inputs))
            entry.input.pairs(into: words, stride: Words.stride(inputs), scratch: scratch)
            parts[part] = ck_bf16_product(
              a: entry.dy, a_row: 1, a_pair: Int64(Words.stride(outputs)), b: words, b_panel: 16,
              b_pair: Int64(Words.stride(inputs)), pairs: Int64(pairs))
          }
          if let sums {
            add(parts, count, to: sums, id, matrix, scratch)
          } else {
            Kernels.table.pointee.gemm_bf16(
              Int64(outputs), Int64(inputs), parts, Int64(count), nil,
              store.pointer(id) + matrix * outputs * inputs, Int64(inputs), true)
          }
        }
        progress()
      }
    }
  }

  /// Adds the product of a matrix to fixed-point sums, in blocks of rows that fit in the second-level cache together
  /// with their sums.
  private func add(
    _ parts: UnsafeMutablePointer<ck_bf16_product>, _ count: Int, to sums: UnitSums, _ id: ParameterID, _ matrix: Int,
    _ scratch: Arena
  ) {
    let (outputs, inputs) = (store.table[id].outputs, store.table[id].inputs)
    let block = min(outputs, max(8, Self.tile / inputs & ~7))
    let tile = scratch.allocate(Float.self, block * inputs)
    for first in stride(from: 0, to: outputs, by: block) {
      let rows = min(block, outputs - first)
      Kernels.table.pointee.gemm_bf16(
        Int64(rows), Int64(inputs), parts, Int64(count), nil, tile, Int64(inputs), false)
      sums.add(tile, count: rows * inputs, to: id, at: (matrix * outputs + first) * inputs)
      // Advance to the next rows of dY.
      for part in 0..<count { parts[part].a += block }
    }
  }

  /// Number of products in a tile that is added to fixed-point sums.
  private static let tile = 16 << 10
}

/// Operands of bfloat16 weight-gradient products.
enum Words {
  /// Words of one pair of rows with `columns` values: whole panels, and one more panel so that neighbouring pairs do
  /// not fall into the same cache set.
  static func stride(_ columns: Int) -> Int { VectorLanes.padded(columns) + 16 }

  /// Pairs of rows of `x`, each row multiplied by its scale.
  static func pairs(_ x: Matrix, rowScales: UnsafePointer<Float>?, into words: UnsafeMutablePointer<UInt32>) {
    Kernels.table.pointee.bf16_pairs(
      Int64(x.rows), Int64(x.columns), x.pointer, Int64(x.columns), rowScales, words, Int64(stride(x.columns)))
  }
}
