/// Whether two arrays hold the same bits (NaN equals itself, −0 differs from 0).
public func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}

/// Distance of `value` from `exact` in units of the last place of fp32 at `exact`.
public func unitsInLastPlace(_ value: Float, _ exact: Double) -> Double {
  let place = max(Double(Float(exact).ulp), Double(Float.leastNonzeroMagnitude))
  return abs(Double(value) - exact) / place
}
