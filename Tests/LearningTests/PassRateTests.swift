import Testing
import Training

@Suite struct PassRateTests {
  @Test("The estimate equals the fraction of k-subsets with a correct sample")
  func counted() {
    for n in 1...7 {
      for correct in 0...n {
        for k in 1...n {
          var hits = 0
          var all = 0
          for subset in 0..<(1 << n) where subset.nonzeroBitCount == k {
            all += 1
            if subset & (1 << correct - 1) != 0 { hits += 1 }
          }
          let rate = PassRate.estimate(samples: n, correct: correct, k: k)
          #expect(abs(rate - Double(hits) / Double(all)) < 1e-12, "\(n) \(correct) \(k)")
        }
      }
    }
  }

  @Test("Pass@1 is the mean, and k takes powers of two up to the number of samples")
  func reported() {
    #expect(abs(PassRate.estimate(samples: 10, correct: 3, k: 1) - 0.3) < 1e-15)
    #expect(PassRate.reported(samples: 1) == [1])
    #expect(PassRate.reported(samples: 8) == [1, 2, 4, 8])
    #expect(PassRate.reported(samples: 10) == [1, 2, 4, 8, 10])
  }
}
