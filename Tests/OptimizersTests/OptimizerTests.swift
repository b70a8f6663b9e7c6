import Foundation
import Optimizers
import Tensors
import TestSupport
import Testing

@Suite("AdamW, clipping and the learning-rate schedule")
struct OptimizerTests {
  struct Golden: Decodable {
    struct Run: Decodable {
      struct Step: Decodable {
        let gradient: [Double]
        let gradient_norm: Double
        let clipped: [Double]
        let weights: [Double]
      }
      let learning_rate: Double
      let weight_decay: Double
      let max_grad_norm: Double
      let start: [Double]
      let steps: [Step]
    }
    struct Rate: Decodable {
      let peak: Double
      let warmup_steps: Int
      let num_epochs: Int
      let step: Int
      let learning_rate: Double
    }
    let adamw: Run
    let schedule: [Rate]
  }

  static func golden() throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: Fixtures.data("golden/optimizer.json"))
  }

  /// Runs the golden steps in `Scalar` and returns the largest distance of any weight from the golden one.
  static func largestError<Scalar: BinaryFloatingPoint & BitwiseCopyable & Sendable>(in type: Scalar.Type) throws
    -> Double
  {
    let run = try golden().adamw
    let optimizer = AdamW(weightDecay: run.weight_decay)
    let arena = Arena()
    let tensor = AdamW.Tensor(starting: run.start.map { Scalar($0) }, in: arena)
    var largest = 0.0
    for (index, step) in run.steps.enumerated() {
      let gradient = step.gradient.map { Scalar($0) }
      let scale = GradientNorm.clipScale(norm: step.gradient_norm, maximum: run.max_grad_norm)
      tensor.gradients.copy(from: arena.view(of: gradient))
      optimizer.update(
        tensor, isDecayed: true,
        AdamW.Step(learningRate: run.learning_rate, number: index + 1, clipScale: Scalar(scale)))
      for (weight, wanted) in zip(tensor.weights, step.weights) { largest = max(largest, abs(Double(weight) - wanted)) }
    }
    return largest
  }

  @Test("Five golden steps agree to 1e-9 in double and 1e-6 in float")
  func goldenSteps() throws {
    #expect(try Self.largestError(in: Double.self) < 1e-9)
    #expect(try Self.largestError(in: Float.self) < 1e-6)
  }

  @Test("The golden norms and clipped gradients")
  func goldenClipping() throws {
    let run = try Self.golden().adamw
    #expect(run.steps.count == 5)
    for step in run.steps {
      let squares = step.gradient.map { $0 * $0 }
      let named = squares.enumerated().map { (name: "tensor.\($0.offset)", squaredSum: $0.element) }
      let norm = GradientNorm.norm(squaredSums: named)
      #expect(abs(norm - step.gradient_norm) < 1e-9)
      let scale = GradientNorm.clipScale(norm: norm, maximum: run.max_grad_norm)
      for (gradient, wanted) in zip(step.gradient, step.clipped) { #expect(abs(scale * gradient - wanted) < 1e-9) }
    }
  }

  @Test("The golden learning rates")
  func goldenSchedule() throws {
    let rates = try Self.golden().schedule
    #expect(rates.count == 14)
    for rate in rates {
      let schedule = LearningRateSchedule(
        peak: rate.peak, warmupSteps: rate.warmup_steps, totalSteps: rate.num_epochs)
      #expect(abs(schedule.learningRate(at: rate.step) - rate.learning_rate) < 1e-15)
    }
  }

  @Test("A schedule without warm-up starts at its peak, and one beyond its plan stays at a tenth")
  func scheduleEdges() {
    #expect(LearningRateSchedule(peak: 1, warmupSteps: 0, totalSteps: 10).learningRate(at: 0) == 1)
    #expect(LearningRateSchedule(peak: 1, warmupSteps: 10, totalSteps: 10).learningRate(at: 9) == 1)
    #expect(LearningRateSchedule(peak: 1, warmupSteps: 10, totalSteps: 10).learningRate(at: 10) == 0.1)
    #expect(LearningRateSchedule(peak: 1, warmupSteps: 5, totalSteps: 10).learningRate(at: 1_000_000) == 0.1)
    let schedule = LearningRateSchedule(peak: 3e-4, warmupSteps: 7, totalSteps: 50)
    let rates = (0..<50).map(schedule.learningRate(at:))
    #expect(
      zip(rates[..<6], rates[1..<7]).allSatisfy { $0 < $1 } && zip(rates[7...], rates[8...]).allSatisfy { $0 > $1 })
  }

  @Test("At every length the float step is the elementwise formula, and a split tensor gives the same bits")
  func lengths() {
    let optimizer = AdamW()
    for count in [0, 1, 7, 8, 15, 17, 31, 33, 127, 129] {
      let gradients = (0..<count).map { Float(sin(Double($0) * 1.3)) * 1e-2 }
      let start = (0..<count).map { Float(cos(Double($0) * 0.7)) }
      func run(cuts: [Int]) -> ([Float], [Float], [Float]) {
        let arena = Arena()
        let tensor = AdamW.Tensor(starting: start, in: arena)
        tensor.gradients.copy(from: arena.view(of: gradients))
        for step in 1...3 {
          for (begin, end) in zip([0] + cuts, cuts + [count]) {
            optimizer.update(
              tensor.part(begin..<end), isDecayed: true,
              AdamW.Step(learningRate: 1e-3, number: step, clipScale: 0.5))
          }
        }
        return (Array(tensor.weights), Array(tensor.firstMoments), Array(tensor.secondMoments))
      }
      let whole = run(cuts: [])
      let split = run(cuts: [count / 3, count / 2])
      #expect(whole.0 == split.0 && whole.1 == split.1 && whole.2 == split.2)
      for index in 0..<count {
        var (w, m, v) = (Double(start[index]), 0.0, 0.0)
        for step in 1...3 {
          let g = Double(gradients[index]) / 2
          w *= 1 - 1e-3 * 0.01
          m = 0.9 * m + 0.1 * g
          v = 0.999 * v + 0.001 * g * g
          let mean = m / (1 - pow(0.9, Double(step)))
          let square = v / (1 - pow(0.999, Double(step)))
          w -= 1e-3 * mean / (square.squareRoot() + 1e-8)
        }
        #expect(abs(Double(whole.0[index]) - w) < 1e-6)
      }
    }
  }

  @Test("Without decay and gradient a weight stays bit for bit, and a zero gradient never divides by zero")
  func stillness() {
    let arena = Arena()
    let tensor = AdamW.Tensor<Float>(starting: [1.1, -0.0, 0x1p-140], in: arena)
    AdamW().update(tensor, isDecayed: false, AdamW.Step(learningRate: 0.1, number: 1, clipScale: 1))
    #expect(tensor.weights.map(\.bitPattern) == [Float(1.1), -0.0, 0x1p-140].map(\.bitPattern))
  }

  @Test("The squared sum is float64 at every length and offset")
  func squaredSums() {
    let values = (0..<300).map { Float(sin(Double($0))) * pow(10, Float($0 % 7 - 3)) }
    let arena = Arena()
    let all = arena.view(of: values)
    for count in [0, 1, 7, 8, 9, 63, 64, 65, 129, 290] {
      for offset in [0, 1, 5] {
        let sum = GradientNorm.squaredSum(all.part(offset..<offset + count))
        let wanted = values[offset..<offset + count].reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect(abs(sum - wanted) <= 1e-14 * wanted)
      }
    }
    #expect(GradientNorm.squaredSum(arena.view(of: [.nan, 1])).isNaN)
    #expect(GradientNorm.squaredSum(arena.view(repeating: Float.greatestFiniteMagnitude, count: 16)).isFinite)
  }

  @Test("The norm does not depend on the order in which partials arrive, and small norms are not scaled")
  func normOrder() {
    let partials = (0..<50).map { (name: "layers.\($0).weight", squaredSum: exp(Double($0 * 37 % 50) - 25)) }
    let norm = GradientNorm.norm(squaredSums: partials)
    #expect(GradientNorm.norm(squaredSums: partials.reversed()) == norm)
    #expect(GradientNorm.norm(squaredSums: partials.sorted { $0.squaredSum < $1.squaredSum }) == norm)
    #expect(GradientNorm.norm(squaredSums: []) == 0)
    #expect(GradientNorm.clipScale(norm: 0, maximum: 1) == 1)
    #expect(GradientNorm.clipScale(norm: 0.999998, maximum: 1) == 1)
    #expect(GradientNorm.clipScale(norm: 4, maximum: 1) == 1 / (4 + 1e-6))
  }

  @Test("Balance biases rise where load is below the mean, fall above it and rest on it")
  func balance() {
    func updated(_ loads: [Int64], topK: Int = 1, rate: Double = 0.5) -> [Float] {
      let arena = Arena()
      let biases = arena.view(repeating: Float(0.25), count: loads.count)
      BalanceBias.update(biases: biases, loads: arena.view(of: loads), topK: topK, rate: rate)
      return Array(biases)
    }
    let same = Float(0.25)
    // Steps of rate/(n k) · (mean − load)/max(mean, load).
    #expect(updated([0, 16, 8, 8]) == [same + 0.125, same - 0.0625, same, same])
    #expect(updated([0, 16, 8, 8], topK: 2) == [same + 0.0625, same - 0.03125, same, same])
    #expect(updated([40, 0]) == [same - 0.125, same + 0.25])
    #expect(updated([0, 0, 0]) == [same, same, same])
    #expect(updated([7, 7]) == [same, same])
    #expect(updated([0, 10], rate: 0) == [same, same])
    // A mean that is not an integer.
    #expect(updated([1, 2]) == [same + 0.25 / 3, same - 0.25 / 4])
  }

  @Test("A balance step moves less than 2 % of the slots of a router at its start, for any number of choices")
  func flips() {
    var numbers = SeededNumbers(seed: 7)
    for (count, chosen) in [(8, 2), (32, 2), (325, 8)] {
      // Probabilities of routers at their start: softmax of normal logits with deviation 0.45.
      let tokens = (0..<400).map { _ in
        let weights = (0..<count).map { _ in exp(0.45 * numbers.normal()) }
        let sum = weights.reduce(0, +)
        return weights.map { Float($0 / sum) }
      }
      let arena = Arena()
      let biases = arena.view(repeating: Float(0), count: count)
      func choices() -> [Set<Int>] {
        tokens.map { p in Set(p.indices.sorted { p[$0] + biases[$0] > p[$1] + biases[$1] }.prefix(chosen)) }
      }
      var before = choices()
      for _ in 0..<5 {
        let loads = (0..<count).map { choice in Int64(before.count { $0.contains(choice) }) }
        BalanceBias.update(biases: biases, loads: arena.view(of: loads), topK: chosen, rate: 0.006)
        let after = choices()
        let moved = zip(before, after).reduce(0) { $0 + $1.0.subtracting($1.1).count }
        #expect(Double(moved) / Double(400 * chosen) < 0.02, "\(count) choices: \(moved) slots")
        before = after
      }
    }
  }
}

/// Reproducible normal numbers.
private struct SeededNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// The sum of twelve uniform numbers less 6 (Irwin-Hall).
  mutating func normal() -> Double {
    var sum = -6.0
    for _ in 0..<12 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      sum += Double(state >> 11) * 0x1p-53
    }
    return sum
  }
}

extension AdamW.Tensor {
  /// A tensor with these weights, and with gradients and moments that are 0.
  init(starting weights: [Scalar], in arena: Arena) {
    func zeros() -> ArrayView<Scalar> { arena.view(repeating: 0, count: weights.count) }
    self.init(weights: arena.view(of: weights), gradients: zeros(), firstMoments: zeros(), secondMoments: zeros())
  }

  /// The elements `range`.
  func part(_ range: Range<Int>) -> AdamW.Tensor<Scalar> {
    AdamW.Tensor(
      weights: weights.part(range), gradients: gradients.part(range), firstMoments: firstMoments.part(range),
      secondMoments: secondMoments.part(range))
  }
}
