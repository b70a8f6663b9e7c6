import Layers
import LowBit
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Linear layers and norms")
struct LinearTests {
  @Test("The gradients of one matrix of a stack agree with difference quotients, and leave the others alone")
  func linear() {
    let bench = LayerBench([.linear("w", [3, 7, 10]), .dense("b", [3, 7])], seed: 31)
    let layer = Linear(weight: bench.id("w"), bias: bench.id("b"))
    let (x, dx) = (bench.random(5, 10), bench.random(5, 10))
    let projection = bench.random(5, 7)
    func run(_ y: Matrix) -> QuantizedInput {
      let input = layer.input(x, bench.forward)
      layer.forward(input, matrix: 1, into: y, bench.forward)
      return input
    }
    dx.clear()
    let input = run(bench.context.arena.matrix(5, 7))
    layer.backward(projection, input, matrix: 1, into: dx, bench.backward())
    let found = bench.disagreements(inputs: [("x", x, dx)]) {
      let y = bench.context.arena.matrix(5, 7)
      _ = run(y)
      return inner(projection.array, y)
    }
    #expect(found.isEmpty, "\(found)")
    let dw = bench.gradients.values(bench.id("w"))
    #expect(dw[0..<70].allSatisfy { $0 == 0 } && dw[140...].allSatisfy { $0 == 0 })
  }

  @Test("Straight-through gradients are dY·Ŵ and dYᵀ·x̂, added to what is there", arguments: NumberFormat.allCases)
  func straightThrough(_ format: NumberFormat) {
    for mixed in [false, true] {
      let (tokens, outputs, inputs) = (6, 17, 30)
      let bench = LayerBench([.linear("w", [outputs, inputs], format), .dense("b", [outputs])], seed: 32)
      let layer = Linear(weight: bench.id("w"), bias: bench.id("b"))
      let lane = bench.context.main
      let (x, dy, dx) = (bench.random(tokens, inputs), bench.random(tokens, outputs), bench.random(tokens, inputs))
      let dxBefore = dx.array
      bench.gradients.values(bench.id("w")).update(repeating: 0.5)
      let input = layer.input(x, bench.forward)
      layer.backward(dy, input, into: dx, bench.backward(mixedPrecision: mixed))
      // Mixed precision rounds both operands; a scale per weight row or token goes into dY, and codes stay exact.
      func operand(_ value: Float) -> Double {
        mixed ? Double(Float(bitPattern: roundedToBFloat16(value))) : Double(value)
      }
      let packed = bench.weights.weights(bench.id("w"))
      let w = bench.context.arena.matrix(outputs, inputs)
      packed.unpack(0, rows: 0..<outputs, into: w)
      let xHat = input.dequantized(in: lane.arena)
      let rowScale = (0..<outputs).map { row in mixed ? packed.rowScales(0)?[row] ?? 1 : 1 }
      let tokenScale = (0..<tokens).map { token in mixed ? input.rowScales?[token] ?? 1 : 1 }
      for token in 0..<tokens {
        for column in 0..<inputs {
          var sum = Double(dxBefore[token * inputs + column])
          for row in 0..<outputs {
            let scale = rowScale[row]
            let weight = scale == 1 ? w.row(row)[column] : (w.row(row)[column] / scale).rounded()
            sum += operand(dy.row(token)[row] * scale) * operand(weight)
          }
          #expect(abs(Double(dx.row(token)[column]) - sum) < 1e-5)
        }
      }
      let dw = bench.gradients.values(bench.id("w"))
      let db = bench.gradients.values(bench.id("b"))
      for row in 0..<outputs {
        for column in 0..<inputs {
          var sum = 0.5
          for token in 0..<tokens {
            let scale = tokenScale[token]
            let value = scale == 1 ? xHat.row(token)[column] : (xHat.row(token)[column] / scale).rounded()
            sum += operand(dy.row(token)[row] * scale) * operand(value)
          }
          #expect(abs(Double(dw[row * inputs + column]) - sum) < 1e-5)
        }
        let sum = (0..<tokens).reduce(0.0) { $0 + Double(dy.row($1)[row]) }
        #expect(abs(Double(db[row]) - sum) < 1e-5)
      }
    }
  }

  private func roundedToBFloat16(_ x: Float) -> UInt32 {
    let bits = x.bitPattern
    return (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000
  }

  @Test("Gradients do not depend on the threads", arguments: NumberFormat.allCases)
  func threads(_ format: NumberFormat) {
    let results = (1...3).map { threads -> [[Float]] in
      let bench = LayerBench(
        [.linear("w", [130, 120], format), .dense("b", [130])], int4Group: 60, threads: threads, seed: 33)
      let layer = Linear(weight: bench.id("w"), bias: bench.id("b"))
      let (x, dy, dx) = (bench.random(70, 120), bench.random(70, 130), bench.random(70, 120))
      let y = bench.context.arena.matrix(70, 130)
      let input = layer.input(x, bench.forward)
      layer.forward(input, into: y, bench.forward)
      layer.backward(dy, input, into: dx, bench.backward(mixedPrecision: true))
      return [y.array, dx.array, bench.gradients.buffer.array]
    }
    for result in results { #expect(zip(result, results[0]).allSatisfy(sameBits)) }
  }

  @Test("The gradients of RMSNorm agree with difference quotients, with and without a weight")
  func rmsNorm() {
    for weighted in [true, false] {
      let bench = LayerBench([.dense("w", [11])], seed: 34)
      let layer = RMSNorm(weight: weighted ? bench.id("w") : nil, epsilon: 1e-3)
      let (x, dx, projection) = (bench.random(4, 11), bench.random(4, 11), bench.random(4, 11))
      dx.clear()
      let y = bench.context.arena.matrix(4, 11)
      let saved = layer.forward(x, into: y, bench.forward)
      layer.backward(projection, saved, into: dx, bench.backward())
      let found = bench.disagreements(inputs: [("x", x, dx)]) {
        _ = layer.forward(x, into: y, bench.forward)
        return inner(projection.array, y)
      }
      #expect(found.isEmpty, "\(found)")
    }
  }
}
