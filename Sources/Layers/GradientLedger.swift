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
/// Rows are added in the order of the calls: layers as backward visits them, rows in order. All memory is the arena's.
struct GradientLedger: @unchecked Sendable {
  /// Rows of one product.
  private struct Entry: BitwiseCopyable {
    let matrix: Int
    let rows: Int
    /// Pairs of rows of dY times the input rows' scales [pairs, stride].
    let dy: UnsafeMutablePointer<UInt32>
    let input: QuantizedInput
    /// What was noted next for the same tensor.
    var next: UnsafeMutablePointer<Entry>?
  }

  /// A tensor's entries, first to last.
  private struct Entries: Sequence, BitwiseCopyable {
    private var first: UnsafeMutablePointer<Entry>?
    private var last: UnsafeMutablePointer<Entry>?
    private(set) var count = 0
    /// Rows of all entries.
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
  /// Those of each tensor; a tensor's rows come from one thread at a time.
  private let entries: UnsafeMutablePointer<Entries>

  /// - Parameter sums: where products go instead of `store`.
  init(_ store: ParameterStore, sums: UnitSums?, arena: Arena) {
    self.store = store
    self.sums = sums
    self.arena = arena
    entries = arena.allocate(Entries.self, store.table.count)
    entries.initialize(repeating: Entries(), count: store.table.count)
  }

  /// Notes rows of a product; both operands are copied.
  func add(_ id: ParameterID, matrix: Int, _ dy: Matrix, _ input: QuantizedInput) {
    let words = arena.allocate(UInt32.self, (dy.rows + 1) / 2 * Words.stride(dy.columns))
    Words.pairs(dy, rowScales: input.rowScales, into: words)
    entries[id.index].append(
      Entry(matrix: matrix, rows: dy.rows, dy: words, input: input.copy(in: arena), next: nil), in: arena)
  }

  /// Whether rows of a tensor have been noted.
  func takes(_ id: ParameterID) -> Bool { entries[id.index].count > 0 }

  /// Adds all products to the gradients, each tensor on one thread; `observer` hears of each as it is done.
  func close(_ context: Context, _ observer: (any GradientObserver)?) {
    let workers = context.pool.threads
    let tensors = 0..<store.table.count
    // Each to the thread with least to do, so that all have about as much and tensors end in about their order.
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
        // The first of a pool's threads is the caller's.
        multiply(ParameterID(index), context.scratch[number]) { if number == 0 { observer?.pause() } }
        observer?.isFinal(ParameterID(index))
      }
    }
  }

  /// Multiplications of a tensor's products.
  private func work(_ index: Int) -> Int {
    let specification = store.table[ParameterID(index)]
    return entries[index].rows * specification.outputs * specification.inputs
  }

  /// - Parameter pause: called after each matrix.
  private func multiply(_ id: ParameterID, _ scratch: Arena, pause: () -> Void) {
    let list = entries[id.index]
    let specification = store.table[id]
    let outputs = specification.outputs
    let inputs = specification.inputs
    // Entries of one matrix in their order: a counting sort.
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
        pause()
      }
    }
  }

  /// Adds the product of a matrix to fixed-point sums, as many rows at a time as stay in a core's second cache with
  /// their sums.
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
      // The next rows' words of dY.
      for part in 0..<count { parts[part].a += block }
    }
  }

  /// Products of a tile that is added to fixed-point sums.
  private static let tile = 16 << 10
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
