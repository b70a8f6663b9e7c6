import Rollouts
import Testing

@Suite("Counter permutation")
struct CounterPermutationTests {
  @Test("Every element occurs once", arguments: [1, 2, 3, 4, 5, 7, 16, 17, 31, 64, 127, 1000, 4097])
  func isPermutation(count: Int) {
    let permutation = CounterPermutation(count: count, seed: 5, epoch: 2)
    #expect((0..<count).map { permutation[$0] }.sorted() == Array(0..<count))
  }

  @Test("Different seeds and epochs give different orders, equal ones the same order")
  func keys() {
    func order(seed: UInt64, epoch: UInt64) -> [Int] {
      let permutation = CounterPermutation(count: 100, seed: seed, epoch: epoch)
      return (0..<100).map { permutation[$0] }
    }
    #expect(order(seed: 1, epoch: 0) == order(seed: 1, epoch: 0))
    #expect(order(seed: 1, epoch: 0) != order(seed: 1, epoch: 1))
    #expect(order(seed: 1, epoch: 0) != order(seed: 2, epoch: 0))
  }

  @Test("An element is equally likely at every position")
  func uniformity() {
    var counts = [Int](repeating: 0, count: 10)
    for epoch in 0..<2000 { counts[CounterPermutation(count: 10, seed: 9, epoch: UInt64(epoch))[3]] += 1 }
    // Expected 200 with a deviation of 13.4; five deviations.
    #expect(counts.allSatisfy { (133...267).contains($0) }, "\(counts)")
  }

  @Test("A large domain needs no table")
  func large() {
    let permutation = CounterPermutation(count: 1 << 60, seed: 1, epoch: 0)
    #expect((0..<1 << 60).contains(permutation[123_456_789_012_345]))
  }
}
