import Foundation

/// Compares the time of two operations in alternating samples, so that changes of the machine's load affect both.
struct PairedTimer {
  /// Approximate duration of a comparison.
  let seconds: Double

  /// Median seconds per call of both operations, and the median over pairs of neighbouring samples of first / second.
  struct Outcome {
    let first: Double
    let second: Double
    let ratio: Double
  }

  /// Compares `first` with `second`. A sample lasts about 2 ms, but at least one call.
  func compare(_ first: () -> Void, _ second: () -> Void) -> Outcome {
    let (a, b) = (repetitions(first), repetitions(second))
    let pairs = max(5, Int(seconds / 4e-3))
    var samples: [(first: Double, second: Double)] = []
    for pair in 0..<pairs {
      if pair.isMultiple(of: 2) {
        let one = Self.time(a, first)
        samples.append((one, Self.time(b, second)))
      } else {
        let two = Self.time(b, second)
        samples.append((Self.time(a, first), two))
      }
    }
    return Outcome(
      first: Self.median(samples.map(\.first)), second: Self.median(samples.map(\.second)),
      ratio: Self.median(samples.map { $0.first / $0.second }))
  }

  /// The median seconds per call of `work`.
  func measure(_ work: () -> Void) -> Double {
    let count = repetitions(work)
    return Self.median((0..<max(5, Int(seconds / 4e-3))).map { _ in Self.time(count, work) })
  }

  /// The number of calls per sample. The calls here also warm up the caches.
  private func repetitions(_ work: () -> Void) -> Int {
    work()
    return max(1, Int(2e-3 / max(1e-9, Self.time(2, work))))
  }

  /// Mean seconds per call over `count` calls.
  private static func time(_ count: Int, _ work: () -> Void) -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<count { work() }
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 / Double(count)
  }

  static func median(_ samples: [Double]) -> Double {
    let sorted = samples.sorted()
    return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
  }
}
