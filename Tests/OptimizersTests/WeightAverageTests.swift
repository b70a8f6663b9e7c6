import Optimizers
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("The moving average of the parameters")
struct WeightAverageTests {
  private static let table = ParameterTable([
    ParameterSpecification("a.weight", [3, 100], .linear(.fp32), .normal(deviation: 1)),
    ParameterSpecification("b.weight", [40, 1000], .linear(.fp32), .normal(deviation: 1)),
  ])

  /// Random masters, one for each update, and the averages after each update.
  private static func run(decay: Double, updates: Int, threads: Int = 1) -> (masters: [[Float]], averages: [[Float]]) {
    let pool = WorkerPool(threads: threads)
    let masters = ParameterStore(table)
    masters.initialize(seed: 1, pool: pool)
    let average = WeightAverage(decay: decay, masters: masters)
    var (all, averages) = ([masters.buffer.array], [average.values.buffer.array])
    for update in 1...updates {
      masters.initialize(seed: UInt64(update + 1), pool: pool)
      average.add(masters, pool: pool)
      all.append(masters.buffer.array)
      averages.append(average.values.buffer.array)
    }
    return (all, averages)
  }

  @Test("The average is the mean of the first parameters and all updates, until the horizon of the decay")
  func mean() {
    let (masters, averages) = Self.run(decay: 0.9, updates: 9)
    for update in [1, 4, 9] {
      for index in stride(from: 0, to: masters[0].count, by: 997) {
        let mean = masters[...update].reduce(0.0) { $0 + Double($1[index]) } / Double(update + 1)
        #expect(abs(Double(averages[update][index]) - mean) < 1e-6)
      }
    }
  }

  @Test("Beyond the horizon, an update has the weight 1 − decay")
  func exponential() {
    let (masters, averages) = Self.run(decay: 0.75, updates: 12)
    for index in stride(from: 0, to: masters[0].count, by: 997) {
      let expected = 0.75 * Double(averages[11][index]) + 0.25 * Double(masters[12][index])
      #expect(abs(Double(averages[12][index]) - expected) < 1e-6)
    }
  }

  @Test("Threads change no bit", arguments: [2, 3])
  func threads(_ threads: Int) {
    #expect(Self.run(decay: 0.9, updates: 5, threads: threads).averages == Self.run(decay: 0.9, updates: 5).averages)
  }

  @Test("An exchange swaps average and masters, and a restart begins with the masters")
  func exchange() {
    let pool = WorkerPool(threads: 1)
    let masters = ParameterStore(Self.table)
    masters.initialize(seed: 1, pool: pool)
    let average = WeightAverage(decay: 0.9, masters: masters)
    let first = masters.buffer.array
    masters.initialize(seed: 2, pool: pool)
    let second = masters.buffer.array
    average.exchange(with: masters)
    #expect(masters.buffer.array == first && average.values.buffer.array == second)
    average.add(masters, pool: pool)
    average.restart(from: masters)
    #expect(average.values.buffer.array == first && average.count == 0)
  }
}
