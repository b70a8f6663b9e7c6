import Tensors

/// Slots (token, k) sorted by the choice that they go to; the tokens of a choice are in order.
///
/// Shapes: T tokens, k slots of each token (top-k), S = T·k sorted rows, d model width.
struct SlotOrder: BitwiseCopyable, Sendable {
  let slots: Int
  let topK: Int
  /// Row r of the sorted order is slot `slot[r]` of token `token[r]` [S].
  let slot: ArrayView<Int32>
  let token: ArrayView<Int32>
  /// The sorted row of each slot [S].
  let row: ArrayView<Int32>
  /// The first row of each choice, and S.
  let starts: ArrayView<Int32>

  init(_ routing: Router.Routing, choices: Int, in arena: Arena) {
    topK = routing.topK
    slots = routing.tokens * topK
    slot = arena.view(Int32.self, slots)
    token = arena.view(Int32.self, slots)
    row = arena.view(Int32.self, slots)
    starts = arena.view(repeating: 0, count: choices + 1)
    // A counting sort, which is stable: it keeps the tokens of a choice in order.
    for choice in routing.chosen { starts[Int(choice) + 1] += 1 }
    for choice in 0..<choices { starts[choice + 1] += starts[choice] }
    for index in 0..<slots {
      let choice = Int(routing.chosen[index])
      let sorted = Int(starts[choice])
      slot[sorted] = Int32(index)
      token[sorted] = Int32(index / topK)
      row[index] = Int32(sorted)
      starts[choice] += 1
    }
    // Every start has moved to the end of its choice, which is the start of the next choice.
    for choice in stride(from: choices, to: 0, by: -1) { starts[choice] = starts[choice - 1] }
    starts[0] = 0
  }

  /// The rows of each choice.
  var offsets: Offsets { Offsets(starts) }

  func count(of choice: Int) -> Int { Int(starts[choice + 1] - starts[choice]) }

  /// The row of `x` [T, d] of each sorted slot [S, d].
  func gather(_ x: Matrix, in arena: Arena) -> Matrix {
    let out = arena.matrix(slots, x.columns)
    for row in 0..<slots { out[row].copy(from: x[Int(token[row])]) }
    return out
  }

  /// As above, with every row multiplied by `scale`.
  func gather(_ x: Matrix, scale: Float, in arena: Arena) -> Matrix {
    let out = arena.matrix(slots, x.columns)
    for row in 0..<slots { out[row].set(x[Int(token[row])], times: scale) }
    return out
  }

  /// The values of the slots [T, k], in sorted order [S].
  func sorted(_ values: Vector, in arena: Arena) -> Vector {
    let out = arena.vector(slots)
    for row in 0..<slots { out[row] = values[Int(slot[row])] }
    return out
  }

  /// Reverses `sorted`.
  func unsorted(_ values: Vector, in arena: Arena) -> Vector {
    let out = arena.vector(slots)
    for row in 0..<slots { out[Int(slot[row])] = values[row] }
    return out
  }

  /// out[t] += Σ gate · rows, over the slots of token t in order; without `gates`, each gate counts as 1.
  func add(_ rows: Matrix, gates: Vector? = nil, to out: Matrix) {
    for slot in 0..<slots { out[slot / topK].add(rows[Int(row[slot])], times: gates?[slot] ?? 1) }
  }
}
