import Errors
import Foundation

/// A linear axis: its range, its ticks at round numbers (1, 2 or 5 times a power of ten) and their labels.
package struct AxisScale {
  package let lowest: Double
  package let highest: Double
  package let ticks: [Double]
  private let step: Double

  /// An axis that covers all finite values with about `tickCount` ticks.
  ///
  /// If all values are equal, the axis extends to both sides of the value. If all are 0, or there are none, it is 0…1.
  ///
  /// - Parameters:
  ///   - padding: a fraction of the range added at both ends, but not across 0.
  ///   - isWhole: whether all ticks are integers.
  package init(covering values: some Sequence<Double>, tickCount: Int, padding: Double, isWhole: Bool = false) {
    let limit = 1e300
    var minimum = Double.infinity
    var maximum = -Double.infinity
    for value in values where value.magnitude < limit {
      minimum = min(minimum, value)
      maximum = max(maximum, value)
    }
    if minimum > maximum { (minimum, maximum) = (0, 1) }
    let (isAbove, isBelow) = (minimum >= 0, maximum <= 0)
    if maximum - minimum <= max(minimum.magnitude, maximum.magnitude) * 1e-12 {
      let room = minimum.magnitude * 0.1
      (minimum, maximum) = minimum == 0 ? (0, 1) : (minimum - room, maximum + room)
    }
    let margin = (maximum - minimum) * padding
    lowest = isAbove ? max(0, minimum - margin) : minimum - margin
    highest = isBelow && maximum <= 0 ? min(0, maximum + margin) : maximum + margin
    let rough = Self.roundStep((highest - lowest) / Double(max(1, tickCount)))
    step = isWhole ? max(1, rough) : rough
    let first = (lowest / step).rounded(.up)
    let count = Int(min(50, max(0, ((highest / step) - first).rounded(.down) + 1)))
    let scale = step
    ticks = (0..<count).map { (first + Double($0)) * scale }
  }

  /// The position of a value on the axis: 0 at the lowest and 1 at the highest value.
  package func fraction(_ value: Double) -> Double { (value - lowest) / (highest - lowest) }

  /// The label of a tick, with as many decimals as the step needs: 0.25, 1,500, 20M, 5e-6.
  package func label(_ tick: Double) -> String {
    let value = tick.magnitude < step / 1000 ? 0 : tick
    if value == 0 { return "0" }
    let largest = max(lowest.magnitude, highest.magnitude)
    if largest < 1e-3 || largest >= 1e13 { return scientific(value) }
    if step >= 1e6 { return FigureText.grouped(value / 1e6) + "M" }
    if step >= 1 { return FigureText.grouped(value) }
    return FigureText.fixed(value, decimals(of: step))
  }

  /// Mantissa and exponent, with enough digits to distinguish neighbouring ticks.
  private func scientific(_ value: Double) -> String {
    let exponent = Int(log10(value.magnitude).rounded(.down))
    let digits = min(15, max(0, exponent - Int((log10(step) + 1e-9).rounded(.down))))
    let parts = String(format: "%.\(digits)e", value).split(separator: "e")
    guard parts.count == 2, let power = Int(parts[1]) else { return "\(value)" }
    return "\(parts[0])e\(power)"
  }

  private func decimals(of step: Double) -> Int { Int((-log10(step) - 1e-9).rounded(.up)) }

  /// The smallest of 1, 2, 5 · 10^k that is at least 0.7 · `rough`: too many ticks are better than too few.
  private static func roundStep(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    for factor in [1.0, 2.0, 5.0] where factor * power >= rough * 0.7 { return factor * power }
    return 10 * power
  }
}
