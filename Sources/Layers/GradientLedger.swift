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
/// arena's. Shapes: T rows of one call, W [matrices, outputs, inputs].
struct GradientLedger: @unchecked Sendable {
  /// The rows that one call contributed to a product.
  private struct Entry: BitwiseCopyable {
    let matrix: Int
    let rows: Int
    /// Pairs of rows of dY, multiplied by the scales of the input rows.
    let dy: BFloat16Operand
    let input: QuantizedInput
    /// The next entry of the same tensor.
    var next: UnsafeMutablePointer<Entry>?
  }

  /// The entries of one tensor, in order: a linked list, because their number is unknown and memory must not move.
  private struct Entries: Sequence, BitwiseCopyable {
    private var first: UnsafeMutablePointer<Entry>?
    private var last: UnsafeMutablePointer<Entry>?
    private(set) var count = 0
    /// Number of rows of all entries.
    private(set) var rows = 0

    mutating func append(_ entry: Entry, in arena: Arena) {
      let node = arena.allocate(Entry.self, 1)
      node.initialize(to: entry)
      if let last { last.pointee.next = node } else { first = node }
      last = node
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
    let pairs = BFloat16Operand.pairs(ofRows: dy.rows, columns: dy.columns, in: arena)
    pairs.setPairs(dy, rowScales: input.rowScales)
    entries[id.index].append(
      Entry(matrix: matrix, rows: dy.rows, dy: pairs, input: input.copy(in: arena), next: nil), in: arena)
  }

  /// Whether the ledger has rows of a tensor.
  func takes(_ id: ParameterID) -> Bool { entries[id.index].count > 0 }

  /// Adds all products to the gradients, each tensor on one thread. `observer` is told as each tensor is complete.
  func close(_ context: Context, _ observer: (any GradientObserver)?) {
    let workers = context.pool.threads
    let tensors = 0..<store.table.count
    // Give each tensor to the thread with the least work, so that loads are even and tensors finish approximately in
    // order.
    let worker = arena.view(Int.self, tensors.count)
    let work = arena.view(repeating: 0, count: workers)
    for index in tensors where takes(ParameterID(index)) {
      let idlest = (0..<workers).reduce(0) { work[$1] < work[$0] ? $1 : $0 }
      worker[index] = idlest
      work[idlest] += multiplications(index)
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
  private func multiplications(_ index: Int) -> Int {
    let specification = store.table[ParameterID(index)]
    return entries[index].rows * specification.outputs * specification.inputs
  }

  /// Takes the products of all matrices of a tensor.
  ///
  /// - Parameter progress: called after each matrix.
  private func multiply(_ id: ParameterID, _ scratch: Arena, progress: () -> Void) {
    let list = entries[id.index]
    let specification = store.table[id]
    scratch.scoped {
      // Group the entries by matrix: a counting sort, which is stable, so the rows of a matrix stay in the order of the
      // calls.
      let starts = scratch.view(repeating: 0, count: specification.matrices + 1)
      for entry in list { starts[entry.pointee.matrix + 1] += 1 }
      for matrix in 0..<specification.matrices { starts[matrix + 1] += starts[matrix] }
      let sorted = scratch.view(UnsafeMutablePointer<Entry>.self, list.count)
      let next = scratch.view(Int.self, specification.matrices)
      next.copy(from: starts.part(0..<specification.matrices))
      for entry in list {
        sorted[next[entry.pointee.matrix]] = entry
        next[entry.pointee.matrix] += 1
      }
      for matrix in 0..<specification.matrices where starts[matrix + 1] > starts[matrix] {
        scratch.scoped {
          // One product over the rows of all entries: its parts are summed in registers.
          let own = sorted.part(starts[matrix]..<starts[matrix + 1])
          var parts = ArenaList<BFloat16Product>(capacity: own.count, in: scratch)
          for entry in own {
            parts.append(BFloat16Product(entry.pointee.dy, entry.pointee.input.pairs(in: scratch)))
          }
          if let sums {
            add(parts, to: sums, id, matrix, scratch)
          } else {
            let rows = matrix * specification.outputs..<(matrix + 1) * specification.outputs
            BFloat16Product.sum(parts, into: store.rows(id).rows(rows), accumulate: true)
          }
        }
        progress()
      }
    }
  }

  /// Adds the product of a matrix to fixed-point sums, in blocks of rows that fit in the second-level cache together
  /// with their sums.
  private func add(
    _ parts: ArenaList<BFloat16Product>, to sums: UnitSums, _ id: ParameterID, _ matrix: Int, _ scratch: Arena
  ) {
    let (outputs, inputs) = (store.table[id].outputs, store.table[id].inputs)
    let block = min(outputs, max(8, Self.tile / inputs & ~7))
    let tile = scratch.matrix(block, inputs)
    for first in stride(from: 0, to: outputs, by: block) {
      let product = tile.rows(0..<min(block, outputs - first))
      BFloat16Product.sum(parts, into: product, accumulate: false)
      sums.add(product.vector, to: id, at: (matrix * outputs + first) * inputs)
      for index in parts.indices { parts[index].advance(rows: block) }
    }
  }

  /// Numbers of a block of a product that is added to fixed-point sums.
  private static let tile = 16 << 10
}
