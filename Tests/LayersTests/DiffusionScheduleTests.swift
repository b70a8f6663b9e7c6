import Foundation
import Layers
import TestSupport
import Testing

@Suite("The diffusion schedule")
struct DiffusionScheduleTests {
  struct Golden: Decodable {
    let steps: Int
    let inference_steps: Int
    let alpha_bar: [Double]
    let visited: [Int]
  }

  @Test("alpha_bar and the visited levels equal the golden ones")
  func golden() throws {
    let cases = try JSONDecoder().decode([Golden].self, from: Fixtures.data("golden/diffusion_schedule.json"))
    #expect(cases.count == 7)
    for golden in cases {
      let schedule = DiffusionSchedule(steps: golden.steps, inferenceSteps: golden.inference_steps)
      #expect(schedule.alphaBar.count == golden.alpha_bar.count)
      #expect(zip(schedule.alphaBar, golden.alpha_bar).allSatisfy { abs($0 - $1) < 1e-12 })
      #expect(schedule.visited == golden.visited)
    }
  }

  @Test("Levels fall strictly from N to 0 for every S up to N, and noise grows with the level")
  func monotony() {
    for steps in 1...24 {
      for inferenceSteps in 1...steps {
        let schedule = DiffusionSchedule(steps: steps, inferenceSteps: inferenceSteps)
        #expect(schedule.visited.count == inferenceSteps + 1)
        #expect(schedule.visited.first == steps && schedule.visited.last == 0)
        #expect(zip(schedule.visited, schedule.visited.dropFirst()).allSatisfy { $0 > $1 })
        #expect(zip(schedule.alphaBar, schedule.alphaBar.dropFirst()).allSatisfy { $0 > $1 && $1 > 0 })
        #expect(schedule.flipProbability(at: 0) == 0 && schedule.flipProbability(at: steps) < 0.5)
      }
    }
  }

  @Test("Training levels are 1 to N")
  func trainingLevels() {
    let schedule = DiffusionSchedule(steps: 10, inferenceSteps: 5)
    #expect([0, 1, 9, 10, UInt32.max].map(schedule.trainingLevel(word:)) == [1, 2, 10, 1, 6])
  }

  /// Forward noise takes level n' to n by flipping with probability (1 − ᾱ_n/ᾱ_n')/2.
  @Test("The reverse step is Bayes' rule for the forward noise")
  func bayes() {
    let schedule = DiffusionSchedule(steps: 10, inferenceSteps: 5)
    for k in 0..<5 {
      let step = schedule.reverseStep(k)
      #expect(step.from == schedule.visited[k] && step.to == schedule.visited[k + 1])
      let between = (1 - schedule.alphaBar[step.from] / schedule.alphaBar[step.to]) / 2
      let before = schedule.flipProbability(at: step.to)
      for z in [false, true] {
        for clean in [false, true] {
          func joint(_ middle: Bool) -> Double {
            (middle == clean ? 1 - before : before) * (z == middle ? 1 - between : between)
          }
          let expected = joint(true) / (joint(true) + joint(false))
          let probability = step.probabilityOfOne(bit: z, cleanProbability: clean ? 1 : 0)
          #expect(abs(probability - expected) < 1e-12)
        }
        let mixed = step.probabilityOfOne(bit: z, cleanProbability: 0.25)
        let ends = [0.0, 1].map { step.probabilityOfOne(bit: z, cleanProbability: $0) }
        #expect(abs(mixed - (0.75 * ends[0] + 0.25 * ends[1])) < 1e-15)
      }
    }
  }

  @Test("A bit is set if its uniform number is below its probability, and only the last step needs no number")
  func bits() {
    let schedule = DiffusionSchedule(steps: 10, inferenceSteps: 2)
    let (first, last) = (schedule.reverseStep(0), schedule.reverseStep(1))
    #expect(!first.isLast && last.isLast)
    let probability = first.probabilityOfOne(bit: true, cleanProbability: 0.6)
    #expect(first.nextBit(bit: true, cleanProbability: 0.6, uniform: probability.nextDown))
    #expect(!first.nextBit(bit: true, cleanProbability: 0.6, uniform: probability))
  }

  @Test("Turning all bits around turns the probability around")
  func symmetry() {
    let schedule = DiffusionSchedule(steps: 20, inferenceSteps: 20)
    for k in 0..<20 {
      for p in [0.0, 0.1, 0.5, 0.9, 1] {
        let one = schedule.reverseStep(k).probabilityOfOne(bit: true, cleanProbability: p)
        let other = schedule.reverseStep(k).probabilityOfOne(bit: false, cleanProbability: 1 - p)
        #expect(abs(one + other - 1) < 1e-12 && (0...1).contains(one))
      }
    }
  }
}
