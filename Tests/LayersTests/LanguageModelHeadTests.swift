import Foundation
import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

/// The vocabulary of 1,030 makes two chunks, the second of six entries.
@Suite("The output head and the value head")
struct LanguageModelHeadTests {
  private static let targets: [Int32] = [0, 1023, 1024, 1029, 517, -1]

  @Test("Log-probability and entropy are those of softmax in double, at any temperature", arguments: [1, 0.6, 2])
  func distribution(temperature: Double) throws {
    let tiny = try TinyModel(seed: 91)
    var numbers = RandomNumbers(seed: 92)
    let h = tiny.matrix(numbers.normals(6 * 20), columns: 20)
    let targets = tiny.context.arena.view(of: Self.targets)
    let kept = tiny.context.arena.matrix(6, 1030)
    let result = tiny.model.head.forward(
      tiny.model.head.input(h, tiny.forward), targets: targets, temperature: Float(temperature), keep: kept,
      tiny.forward)
    let embedding = tiny.masters.values(tiny.model.embedding)
    for row in 0..<6 {
      let logits = (0..<1030).map { token in
        (0..<20).reduce(0.0) { $0 + Double(h.row(row)[$1]) * Double(embedding[token * 20 + $1]) } / temperature
      }
      let most = logits.max() ?? 0
      let logSum = most + log(logits.reduce(0.0) { $0 + exp($1 - most) })
      let entropy = -logits.reduce(0.0) { $0 + exp($1 - logSum) * ($1 - logSum) }
      #expect(abs(Double(result.logSumExp[row]) - logSum) < 3e-6)
      #expect(abs(Double(result.entropy[row]) - entropy) < 5e-6)
      let target = Int(Self.targets[row])
      #expect(abs(Double(result.logProbability[row]) - (target < 0 ? 0 : logits[target] - logSum)) < 5e-6)
      #expect((0..<1030).allSatisfy { abs(Double(kept.row(row)[$0]) - logits[$0]) < 5e-6 })
    }
  }

  @Test("The gradients of h and the embedding agree with difference quotients", arguments: [1, 0.6])
  func gradients(temperature: Double) throws {
    let tiny = try TinyModel(seed: 93)
    var numbers = RandomNumbers(seed: 94)
    let head = tiny.model.head
    let h = tiny.matrix(numbers.normals(6 * 20), columns: 20)
    // The row without a target has no log-probability to send a gradient for.
    let (a, b) = (numbers.normals(5) + [0], numbers.normals(6))
    let targets = tiny.context.arena.view(of: Self.targets)
    func forward() -> LanguageModelHead.Distribution {
      head.forward(
        head.input(h, tiny.forward), targets: targets, temperature: Float(temperature), tiny.forward)
    }
    let dh = tiny.context.arena.zeros(6, 20)
    head.backward(
      forward(), dLogProbability: tiny.context.arena.view(of: a), dEntropy: tiny.context.arena.view(of: b), into: dh,
      tiny.backward)
    let found = tiny.disagreements(
      seed: 95, inputs: [("h", h, dh)], check: FiniteDifference(coordinates: 40, tolerance: 5e-3, floor: 1e-3),
      wanted: { $0 == "embedding.weight" }
    ) {
      tiny.context.arena.scoped {
        let distribution = forward()
        return (0..<6).reduce(0.0) { sum, row in
          sum + Double(a[row]) * Double(distribution.logProbability[row])
            + Double(b[row]) * Double(distribution.entropy[row])
        }
      }
    }
    #expect(found.isEmpty, "\(found.prefix(8))")
  }

  @Test("A row's bits do not depend on the other rows or the threads", arguments: NumberFormat.allCases)
  func independence(_ format: NumberFormat) throws {
    var first: [Float]?
    for threads in 1...3 {
      let tiny = try TinyModel(format, seed: 96, pool: WorkerPool(threads: threads))
      var numbers = RandomNumbers(seed: 97)
      let h = tiny.matrix(numbers.normals(50 * 20), columns: 20)
      let targets = numbers.tokens(50, vocabulary: 1030)
      func run(_ range: Range<Int>) -> [Float] {
        let result = tiny.model.head.forward(
          tiny.model.head.input(h.rows(range), tiny.forward),
          targets: tiny.context.arena.view(of: Array(targets[range])),
          temperature: 0.9, tiny.forward)
        return (0..<range.count).flatMap {
          [result.logProbability[$0], result.entropy[$0], result.logSumExp[$0]]
        }
      }
      let whole = run(0..<50)
      for row in stride(from: 0, to: 50, by: 7) {
        #expect(sameBits(run(row..<row + 1), Array(whole[3 * row..<3 * row + 3])))
      }
      #expect(sameBits(run(11..<40), Array(whole[33..<120])))
      #expect(sameBits(whole, first ?? whole))
      first = whole
    }
  }

  @Test("The value is ⟨h, w⟩ + b; its gradients are h and 1 times the given ones")
  func value() throws {
    let tiny = try TinyModel(seed: 98)
    var numbers = RandomNumbers(seed: 99)
    let h = tiny.matrix(numbers.normals(4 * 20), columns: 20)
    let d = numbers.normals(4)
    tiny.model.backwardValues(
      h, dValues: tiny.context.arena.view(of: d), Gradients(tiny.gradients, mixedPrecision: false))
    let found = tiny.disagreements(
      seed: 100, inputs: [], check: FiniteDifference(), wanted: { $0.hasPrefix("value_head") }
    ) {
      zip(tiny.model.values(h, tiny.weights), d).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    }
    #expect(found.isEmpty, "\(found)")
  }
}
