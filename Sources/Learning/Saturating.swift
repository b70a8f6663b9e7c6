/// Integer arithmetic that returns the largest integer instead of trapping, for sizes from a configuration.
package enum Saturating {
  /// a · b, or `Int.max` if that overflows.
  package static func product(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : result
  }

  /// a + b, or `Int.max` if that overflows.
  package static func sum(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : result
  }
}
