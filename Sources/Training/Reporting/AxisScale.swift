import Foundation

/// A linear axis: its range, its ticks at round numbers (1, 2 or 5 times a power of ten) and their labels.
struct AxisScale {
  let lowest: Double
  let highest: Double
  let ticks: [Double]
  private let step: Double

  /// An axis that covers all finite values with about `tickCount` ticks; `padding` is a share of the range added
  /// at both ends. A single value gets room on both sides; without values the axis is 0…1.
  init(covering values: some Sequence<Double>, tickCount: Int, padding: Double) {
    let limit = 1e300
    var least = Double.infinity
    var most = -Double.infinity
    for value in values where value.magnitude < limit {
      least = min(least, value)
      most = max(most, value)
    }
    if least > most { (least, most) = (0, 1) }
    if most - least <= max(least.magnitude, most.magnitude) * 1e-12 {
      let room = least == 0 ? 0.5 : least.magnitude * 0.1
      (least, most) = (least - room, most + room)
    }
    let margin = (most - least) * padding
    lowest = least - margin
    highest = most + margin
    step = Self.roundStep((highest - lowest) / Double(max(1, tickCount)))
    let first = (lowest / step).rounded(.up)
    let count = Int(min(50, max(0, ((highest / step) - first).rounded(.down) + 1)))
    let scale = step
    ticks = (0..<count).map { (first + Double($0)) * scale }
  }

  /// A value's place on the axis, 0 at the lowest and 1 at the highest.
  func fraction(_ value: Double) -> Double { (value - lowest) / (highest - lowest) }

  /// A tick's label, with as many decimals as the step needs.
  func label(_ tick: Double) -> String {
    let value = tick.magnitude < step / 1000 ? 0 : tick
    if step >= 1e6 || step < 1e-4 { return String(format: "%.2g", value) }
    if step >= 1 { return FigureText.grouped(value) }
    return FigureText.fixed(value, Int((-log10(step) - 1e-9).rounded(.up)))
  }

  /// The smallest of 1, 2, 5 · 10^k that is at least about `rough`: a few ticks too many read better than too few.
  private static func roundStep(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    for factor in [1.0, 2.0, 5.0] where factor * power >= rough * 0.7 { return factor * power }
    return 10 * power
  }
}
