/// pass@k and mean@n of n samples, c of them correct.
public enum PassRate {
  /// The probability that at least one of k samples, drawn from the n without replacement, is correct: 1 − C(n−c,
  /// k)/C(n, k), an unbiased estimate of pass@k.
  ///
  /// Source: Chen et al., "Evaluating large language models trained on code" (2021, arXiv:2107.03374), equation 1.
  public static func estimate(samples n: Int, correct c: Int, k: Int) -> Double {
    precondition(0 <= c && c <= n && 1 <= k && k <= n, "pass@\(k) with \(c) correct of \(n) samples")
    if n - c < k { return 1 }
    var fails = 1.0
    for i in (n - c + 1)..<(n + 1) { fails *= 1 - Double(k) / Double(i) }
    return 1 - fails
  }

  /// The values of k to report for n samples: 1, 2, 4, … and n.
  public static func reported(samples n: Int) -> [Int] {
    var result: [Int] = []
    var k = 1
    while k < n {
      result.append(k)
      k *= 2
    }
    return result + [n]
  }
}
