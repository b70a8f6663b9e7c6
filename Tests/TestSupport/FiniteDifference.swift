import Tensors

/// Compares a gradient with central differences of a loss that is recomputed for every change.
///
/// Central differences at h and h/2 are combined (Richardson), so the truncation is of order h⁴ and what remains is the
/// rounding of the fp32 forward pass, about 1e-7 · |loss| / h. A loss may return nil if a discrete choice (routing,
/// clipping) differs from that at the unchanged values: the quotient then has no meaning and is left out, but more than
/// half of a tensor's quotients must count.
public struct FiniteDifference {
  public var step: Double
  /// The number of coordinates tried of a tensor; all of a smaller tensor.
  public var coordinates: Int
  /// The maximum difference, as a share of the tensor's maximum gradient.
  public var tolerance: Double
  /// Differences below this are rounding.
  public var floor: Double

  public init(step: Double = 0.01, coordinates: Int = 24, tolerance: Double = 5e-3, floor: Double = 1e-4) {
    self.step = step
    self.coordinates = coordinates
    self.tolerance = tolerance
    self.floor = floor
  }

  /// Descriptions of disagreements; empty if all agree.
  public func disagreements(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: [Float], numbers: inout RandomNumbers,
    loss: () -> Double?
  ) -> [String] {
    precondition(values.count == gradient.count, "\(gradient.count) gradients of \(values.count) values")
    guard let largest = gradient.map({ abs(Double($0)) }).max() else { return [] }
    guard gradient.allSatisfy({ $0.isFinite }) else { return ["\(name) has a gradient that is not finite"] }
    let bound = tolerance * largest + floor
    var found: [String] = []
    // A gradient of zeros is compared with the floor; a gradient near the floor would prove nothing.
    if largest > 0, largest < 10 * floor { found.append("\(name): \(largest) is too small for a floor of \(floor)") }
    let chosen =
      values.count <= coordinates
      ? Array(values.indices) : (0..<coordinates).map { _ in numbers.integer(below: values.count) }
    var skipped = 0
    for index in chosen {
      guard
        let slope = derivative(along: { values[index] = Float(Double($0) + $1) }, from: values[index], loss: loss)
      else {
        skipped += 1
        continue
      }
      if !(abs(slope - Double(gradient[index])) <= bound) {
        found.append("\(name)[\(index)]: difference quotient \(slope), gradient \(gradient[index]), bound \(bound)")
      }
    }
    if 2 * skipped > chosen.count { found.append("\(name): \(skipped) of \(chosen.count) elements change a choice") }
    // One direction through all elements, so that every element is tested.
    let direction = values.indices.map { _ in numbers.uniform() < 0.5 ? -1.0 : 1.0 }
    let start = Array(values)
    let scale = 1 / Double(values.count).squareRoot()
    let slope = derivative(
      along: { (_: Float, change: Double) in
        for index in values.indices { values[index] = Float(Double(start[index]) + change * scale * direction[index]) }
      }, from: 0, loss: loss)
    for index in values.indices { values[index] = start[index] }
    guard let slope else { return found }
    let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * $1.1 } * scale
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    if !(abs(slope - expected) <= tolerance * norm + floor) {
      found.append("\(name) along a direction: difference quotient \(slope), gradient \(expected), norm \(norm)")
    }
    return found
  }

  private func derivative(along move: (Float, Double) -> Void, from start: Float, loss: () -> Double?) -> Double? {
    func central(_ h: Double) -> Double? {
      move(start, h)
      let above = loss()
      move(start, -h)
      let below = loss()
      move(start, 0)
      guard let above, let below else { return nil }
      return (above - below) / (2 * h)
    }
    guard let narrow = central(step / 2), let wide = central(step) else { return nil }
    return (4 * narrow - wide) / 3
  }
}
