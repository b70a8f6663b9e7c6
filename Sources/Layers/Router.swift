import LowBit
import Parameters
import Tensors

/// p = softmax(W x) over n choices; the k with the largest p + bias are chosen (descending; ties: lowest index
/// first), gates are the chosen p divided by their sum. The bias balances loads and has no gradient
/// (Wang et al., 2024, arXiv:2408.15664).
///
/// Gates are softmax(W x) over the chosen alone. If the chosen p are so small that their quotients are not numbers (a
/// saturated router whose biases point elsewhere), gates and gradient are computed in that form.
///
/// Shapes: T tokens, d model width, n choices, k of them chosen (top-k).
public struct Router: Sendable {
  public let weight: ParameterID
  public let bias: ParameterID
  /// Choices n and chosen k.
  public let count: Int
  public let topK: Int

  /// Chosen probabilities with a smaller sum (2⁻⁶⁴) are not divided by it: the quotient, or its derivative, may overflow.
  private static let minimumSum = Float(sign: .plus, exponent: -64, significand: 1)

  public init(weight: ParameterID, bias: ParameterID, count: Int, topK: Int) {
    self.weight = weight
    self.bias = bias
    self.count = count
    self.topK = topK
  }

  /// The routing decisions for T tokens.
  public struct Routing: BitwiseCopyable, Sendable {
    public let tokens: Int
    public let topK: Int
    /// The router's input [T, d].
    let x: Matrix
    /// [T, n]
    public let probabilities: Matrix
    /// [T, k]
    public let chosen: ArrayView<Int32>
    /// [T, k]
    public let gates: Vector
    /// Sum of the chosen probabilities of each token [T].
    let sums: Vector

    /// The slots of one token.
    func slots(_ token: Int) -> Range<Int> { token * topK..<(token + 1) * topK }
  }

  public func forward(_ x: Matrix, _ pass: ForwardLane) -> Routing {
    let arena = pass.arena
    let routing = Routing(
      tokens: x.rows, topK: topK, x: x, probabilities: arena.matrix(x.rows, count),
      chosen: arena.view(Int32.self, x.rows * topK), gates: arena.vector(x.rows * topK), sums: arena.vector(x.rows))
    let linear = Linear(weight: weight)
    linear.forward(linear.input(x, pass), into: routing.probabilities, pass)
    let biases = pass.weights.rows(bias).vector
    pass.pool.split(x.rows, cost: .scalar(count)) { _, range in
      routing.probabilities.rows(range).applySoftmax()
      for token in range { decide(token, routing, biases) }
    }
    for token in 0..<x.rows where routing.sums[token] < Self.minimumSum { setGatesByLogits(token, routing, pass) }
    return routing
  }

  /// Chooses for one token, and divides the chosen probabilities by their sum.
  private func decide(_ token: Int, _ routing: Routing, _ biases: Vector) {
    let p = routing.probabilities[token]
    let (chosen, gates) = (routing.chosen.part(routing.slots(token)), routing.gates.part(routing.slots(token)))
    choose(p, biases, into: chosen)
    var sum: Float = 0
    for choice in chosen { sum += p[Int(choice)] }
    for slot in 0..<topK { gates[slot] = p[Int(chosen[slot])] / sum }
    routing.sums[token] = sum
  }

  /// Gates of one token as the softmax of the chosen logits.
  private func setGatesByLogits(_ token: Int, _ routing: Routing, _ pass: ForwardLane) {
    pass.scratch.scoped {
      let linear = Linear(weight: weight)
      let logits = pass.scratch.matrix(1, count)
      linear.forward(linear.input(routing.x.rows(token..<token + 1), pass), into: logits, pass)
      let (chosen, gates) = (routing.chosen.part(routing.slots(token)), routing.gates.part(routing.slots(token)))
      for slot in 0..<topK { gates[slot] = logits[0][Int(chosen[slot])] }
      gates.applySoftmax()
    }
  }

  /// Writes the k choices with the largest p + bias, descending.
  private func choose(_ p: Vector, _ biases: Vector, into chosen: ArrayView<Int32>) {
    // Insert into a short sorted list. A later index moves ahead only if its value is strictly larger, so ties go to
    // the lowest index.
    var filled = 0
    for index in 0..<count {
      let score = p[index] + biases[index]
      var rank = filled
      while rank > 0 {
        let other = Int(chosen[rank - 1])
        if score > p[other] + biases[other] { rank -= 1 } else { break }
      }
      guard rank < topK else { continue }
      if filled < topK { filled += 1 }
      for slot in stride(from: filled - 1, to: rank, by: -1) { chosen[slot] = chosen[slot - 1] }
      chosen[rank] = Int32(index)
    }
  }

  /// Adds to `dx` and to the weight's gradient. `dGates` is [T, k]; `balance` gives dL/dp of the balance loss for each
  /// token.
  func backward(
    _ dGates: Vector, _ routing: Routing, balance: BalanceGradient?, into dx: Matrix, _ pass: BackwardLane
  ) {
    pass.scratch.scoped {
      let dLogits = pass.scratch.zeros(routing.tokens, count)
      for token in 0..<routing.tokens {
        setLogitGradients(token, dGates.part(routing.slots(token)), routing, balance, dLogits[token])
      }
      Linear(weight: weight).backward(dLogits, QuantizedInput(values: routing.x), into: dx, pass)
    }
  }

  /// Writes dL/dlogit of one token [n] to `d`, which is 0 before.
  private func setLogitGradients(
    _ token: Int, _ dGates: Vector, _ routing: Routing, _ balance: BalanceGradient?, _ d: Vector
  ) {
    let (chosen, gates) = (routing.chosen.part(routing.slots(token)), routing.gates.part(routing.slots(token)))
    let p = routing.probabilities[token]
    var mean: Float = 0
    for slot in 0..<topK { mean += gates[slot] * dGates[slot] }
    // Gates that are quotients send their gradient through p, before the softmax; gates that are a softmax of chosen
    // logits send it to the logits, after the softmax of all.
    let isDivided = !(routing.sums[token] < Self.minimumSum)
    if isDivided {
      for slot in 0..<topK { d[Int(chosen[slot])] += (dGates[slot] - mean) / routing.sums[token] }
    }
    if let balance {
      let slope = balance.row(token)
      for index in 0..<count { d[index] += slope[index] }
    }
    let inner = p.dot(d)
    for index in 0..<count { d[index] = p[index] * (d[index] - inner) }
    if !isDivided {
      for slot in 0..<topK { d[Int(chosen[slot])] += gates[slot] * (dGates[slot] - mean) }
    }
  }
}
