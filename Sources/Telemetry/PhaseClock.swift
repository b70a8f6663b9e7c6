/// Seconds of each phase of a step.
package struct PhaseClock {
  private var last = ContinuousClock.now
  private let start = ContinuousClock.now
  package private(set) var seconds: [String: Double] = [:]

  package init() {}

  package mutating func lap(_ phase: String) {
    let now = ContinuousClock.now
    seconds[phase] = (now - last) / .seconds(1)
    last = now
  }

  package var total: Double { (ContinuousClock.now - start) / .seconds(1) }
}
