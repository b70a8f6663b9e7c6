import LowBit
import Parameters
import Tensors

/// p = softmax(W x) over n choices; the k with the largest p + bias are chosen (descending; ties: lowest index
/// first), gates are the chosen p divided by their sum. The bias balances loads and has no gradient
/// (Wang et al., 2024, arXiv:2408.15664).
///
/// Gates are softmax(W x) over the chosen alone. If the chosen p are so small that their quotients are not numbers (a
/// saturated router whose biases point elsewhere), gates and gradient are computed in that form.
public struct Router: Sendable {
  public let weight: ParameterID
  public let bias: ParameterID
  /// Choices n and chosen k.
  public let count: Int
  public let topK: Int

  /// Chosen probabilities with a smaller sum (2⁻⁶⁴) are not divided by it: the quotient, or its derivative, may overflow.
  private static let leastSum = Float(sign: .plus, exponent: -64, significand: 1)

  public init(weight: ParameterID, bias: ParameterID, count: Int, topK: Int) {
    self.weight = weight
    self.bias = bias
    self.count = count
    self.topK = topK
  }

  /// The routing decisions for T tokens.
  public struct Routing: BitwiseCopyable, @unchecked Sendable {
    public let tokens: Int
    public let topK: Int
    /// The router's input [T, d].
    let x: Matrix
    /// [T, n]
    public let probabilities: Matrix
    /// [T, k]
    public let chosen: UnsafeMutablePointer<Int32>
    /// [T, k]
    public let gates: UnsafeMutablePointer<Float>
    /// Sum of the chosen probabilities of each token [T].
    let sums: UnsafeMutablePointer<Float>
  }

  public func forward(_ x: Matrix, _ weights: PackedModel, _ lane: Lane) -> Routing {
    let routing = Routing(
      tokens: x.rows, topK: topK, x: x, probabilities: lane.arena.matrix(x.rows, count),
      chosen: lane.arena.allocate(Int32.self, x.rows * topK), gates: lane.arena.allocate(Float.self, x.rows * topK),
      sums: lane.arena.allocate(Float.self, x.rows))
    let p = routing.probabilities
    let linear = Linear(weight: weight)
    linear.forward(linear.input(x, weights, lane), weights, into: p, lane)
    let biases = weights.values(bias)
    lane.pool.split(x.rows, least: max(1, 8192 / count)) { _, range in
      Kernels.table.pointee.softmax(Int64(range.count), Int64(count), p.row(range.lowerBound), Int64(count))
      for token in range {
        choose(p.row(token), biases, routing.chosen + token * topK)
        var sum: Float = 0
        for slot in 0..<topK { sum += p.row(token)[Int(routing.chosen[token * topK + slot])] }
        for slot in 0..<topK {
          routing.gates[token * topK + slot] = p.row(token)[Int(routing.chosen[token * topK + slot])] / sum
        }
        routing.sums[token] = sum
      }
    }
    for token in 0..<x.rows where routing.sums[token] < Self.leastSum {
      setGatesByLogits(token, routing, linear, weights, lane)
    }
    return routing
  }

  /// Gates of one token as the softmax of the chosen logits.
  private func setGatesByLogits(
    _ token: Int, _ routing: Routing, _ linear: Linear, _ weights: PackedModel, _ lane: Lane
  ) {
    lane.scratch.scoped {
      let logits = lane.scratch.matrix(1, count)
      linear.forward(
        linear.input(routing.x.rows(token..<token + 1), weights, lane), weights, into: logits, lane)
      let gates = routing.gates + token * topK
      for slot in 0..<topK { gates[slot] = logits.row(0)[Int(routing.chosen[token * topK + slot])] }
      Kernels.table.pointee.softmax(1, Int64(topK), gates, Int64(topK))
    }
  }

  private func choose(
    _ p: UnsafePointer<Float>, _ biases: UnsafePointer<Float>, _ chosen: UnsafeMutablePointer<Int32>
  ) {
    // Insert into a short sorted list. A later index moves ahead only if its value is strictly larger, so ties go to
    // the lowest index.
    var filled = 0
    for index in 0..<count {
      let score = p[index] + biases[index]
      var place = filled
      while place > 0 {
        let other = Int(chosen[place - 1])
        if score > p[other] + biases[other] { place -= 1 } else { break }
      }
      guard place < topK else { continue }
      if filled < topK { filled += 1 }
      var slot = filled - 1
      while slot > place {
        chosen[slot] = chosen[slot - 1]
        slot -= 1
      }
      chosen[place] = Int32(index)
    }
  }

  /// Adds to `dx` and to the weight's gradient. `dGates` is [T, k]; `balance` gives dL/dp of the balance loss for each
  /// token.
  func backward(
    _ dGates: UnsafePointer<Float>, _ routing: Routing, balance: BalanceGradient?, _ weights: PackedModel,
    _ gradients: Gradients, into dx: Matrix, _ lane: Lane
  ) {
    lane.scratch.scoped {
      let dLogits = lane.scratch.zeros(routing.tokens, count)
      for token in 0..<routing.tokens {
        let gates = routing.gates + token * topK
        let gradient = dGates + token * topK
        let p = routing.probabilities.row(token)
        let d = dLogits.row(token)
        var mean: Float = 0
        for slot in 0..<topK { mean += gates[slot] * gradient[slot] }
        let isDivided = !(routing.sums[token] < Self.leastSum)
        if isDivided {
          for slot in 0..<topK {
            d[Int(routing.chosen[token * topK + slot])] += (gradient[slot] - mean) / routing.sums[token]
          }
        }
        if let balance {
          let slope = balance.row(token)
          for index in 0..<count { d[index] += slope[index] }
        }
        let inner = Kernels.table.pointee.dot(Int64(count), p, d)
        for index in 0..<count { d[index] = p[index] * (d[index] - inner) }
        if !isDivided {
          for slot in 0..<topK {
            d[Int(routing.chosen[token * topK + slot])] += gates[slot] * (gradient[slot] - mean)
          }
        }
      }
      let linear = Linear(weight: weight)
      linear.backward(dLogits, QuantizedInput(values: routing.x), weights, gradients, into: dx, lane)
    }
  }
}

/// Slots (token, k) sorted by their choice; the tokens of a choice are in order.
struct SlotOrder: BitwiseCopyable, @unchecked Sendable {
  let slots: Int
  /// Row r of the sorted order is slot `slot[r]` of token `token[r]`.
  let slot: UnsafeMutablePointer<Int32>
  let token: UnsafeMutablePointer<Int32>
  /// The row of slot s in the sorted order.
  let row: UnsafeMutablePointer<Int32>
  let offsets: Offsets
  let starts: UnsafeMutablePointer<Int32>

  init(_ routing: Router.Routing, choices: Int, in arena: Arena) {
    slots = routing.tokens * routing.topK
    slot = arena.allocate(Int32.self, slots)
    token = arena.allocate(Int32.self, slots)
    row = arena.allocate(Int32.self, slots)
    starts = arena.allocate(Int32.self, choices + 1)
    starts.update(repeating: 0, count: choices + 1)
    for index in 0..<slots { starts[Int(routing.chosen[index]) + 1] += 1 }
    for choice in 0..<choices { starts[choice + 1] += starts[choice] }
    for index in 0..<slots {
      let choice = Int(routing.chosen[index])
      let place = Int(starts[choice])
      slot[place] = Int32(index)
      token[place] = Int32(index / routing.topK)
      row[index] = Int32(place)
      starts[choice] += 1
    }
    for choice in stride(from: choices, to: 0, by: -1) { starts[choice] = starts[choice - 1] }
    starts[0] = 0
    offsets = Offsets(starts, count: choices)
  }

  func count(of choice: Int) -> Int { Int(starts[choice + 1] - starts[choice]) }
}
