import Errors
import Foundation
import Layers
import Learning
import LowBit
import Models
import Objectives
import Parameters
import Reports

/// Compares gradients with central differences of the loss along the gradient: for a tensor with gradient g, the derivative
/// of the loss in the direction g / |g| must be |g|.
///
/// Differences at h and h/2 are combined (Richardson extrapolation), so the truncation error is of order h⁴. Tensors whose
/// loss depends on rounded numbers are not checked: the loss is then a step function, and its gradient a straight-through
/// estimate (Bengio, Léonard and Courville, 2013, arXiv:1308.3432) to which differences do not converge.
package struct GradientCheck {
  private let learner: Learner
  private let patterns: [String]
  private var model: QuillanModel { learner.model }

  /// - Parameter patterns: names of tensors, in which `*` matches any characters.
  package init(_ learner: Learner, patterns: [String]) {
    self.learner = learner
    self.patterns = patterns
  }

  /// A table with one row for each tensor whose name matches a pattern.
  package func table(_ loss: CheckedLoss.Evaluation) -> String {
    var table = Table(["gradient of", "elements", "|gradient|", "finite difference", "difference", "verdict"])
    let ids = learner.masters.held.filter { id in patterns.contains { Self.matches(model.table[id].name, $0) } }
    guard !ids.isEmpty else { return "no tensor matches \(patterns.joined(separator: ", "))\n" }
    let obstacles = ids.map(obstacle)
    for (id, reason) in zip(ids, obstacles) {
      guard let reason else { continue }
      table.add([model.table[id].name, "\(model.table[id].count)", "", "", "", "not checked: \(reason)"])
    }
    let smooth = zip(ids, obstacles).filter { $0.1 == nil }.map { $0.0 }
    guard !smooth.isEmpty else { return table.text }
    let gradients = ParameterStore(model.table, holding: learner.masters.held)
    let weights = model.makePackedModel(holding: learner.masters.held)
    let base = measure(loss, weights, gradients)
    for id in smooth {
      table.add([model.table[id].name] + compare(id, Array(gradients.values(id)), base, loss, weights))
    }
    return table.text
  }

  /// Why a tensor cannot be checked; nil if the loss is a smooth function of the tensor.
  private func obstacle(_ id: ParameterID) -> String? {
    let specification = model.table[id]
    if specification.role == .balanceBias { return "adjusted by loads, has no gradient" }
    if learner.experts != nil { return "needs parallel.expert 1" }
    if specification.owner == .valueHead { return nil }
    let precision = model.precision
    var formats = [
      ("overseer", precision.overseer), ("attention", precision.attention), ("experts", precision.experts),
      ("agents", precision.agents), ("head", precision.head),
    ]
    if model.diffusion != nil { formats.append(("diffusion", precision.diffusion)) }
    guard let rounded = formats.first(where: { $0.1 != .fp32 }) else { return nil }
    return "the loss depends on \(rounded.0) in \(rounded.1.rawValue), a step function"
  }

  private struct Measured {
    let value: CheckedLoss
    let routing: RoutingSnapshot
  }

  /// The loss and routing at the current masters.
  private func measure(_ loss: CheckedLoss.Evaluation, _ weights: PackedModel, _ gradients: ParameterStore?) -> Measured
  {
    let store = gradients ?? ParameterStore(model.table, holding: learner.masters.held)
    let loads = model.makeLoads()
    model.pack(learner.masters, into: weights, learner.context)
    let value = loss(weights, Gradients(store, mixedPrecision: learner.gradients.mixedPrecision), loads)
    return Measured(value: value, routing: RoutingSnapshot(loads))
  }

  private func compare(
    _ id: ParameterID, _ gradient: [Float], _ base: Measured, _ loss: CheckedLoss.Evaluation, _ weights: PackedModel
  ) -> [String] {
    let count = "\(gradient.count)"
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    guard norm.isFinite else { return [count, "\(norm)", "", "", "NOT FINITE"] }
    guard norm > 0 else { return [count, "0", "", "", "no gradient in this micro-batch"] }
    let values = learner.masters.values(id)
    let start = Array(values)
    let size = start.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let step = max(0.01, 0.01 * size)
    let isValueHead = model.table[id].owner == .valueHead
    func at(_ distance: Double) -> Double? {
      for index in values.indices {
        values[index] = Float(Double(start[index]) + distance * Double(gradient[index]) / norm)
      }
      defer { _ = values.update(fromContentsOf: start) }
      let measured = measure(loss, weights, nil)
      // The loss is discontinuous where a routing decision changes.
      guard measured.routing == base.routing else { return nil }
      return isValueHead ? measured.value.value : measured.value.trunk
    }
    let middle = isValueHead ? base.value.value : base.value.trunk
    let tolerance = learner.gradients.mixedPrecision ? 2e-2 : 5e-3
    var distance = step
    for _ in 0..<5 {
      defer { distance /= 4 }
      guard let a = at(distance), let b = at(-distance), let c = at(distance / 2), let d = at(-distance / 2) else {
        continue
      }
      let (wide, narrow) = ((a - b) / (2 * distance), (c - d) / distance)
      let slope = (4 * narrow - wide) / 3
      // The fp32 forward pass rounds the loss.
      let rounding = 1e-6 * max(0.05, abs(a)) / distance
      if norm < 10 * rounding {
        return [count, Self.figure(norm), Self.figure(slope), "", "too small to check"]
      }
      // At half the distance, a smooth loss has the same slope and a quarter of the second difference. Otherwise a routing
      // decision changed without changing the loads.
      let (bend, halfBend) = ((a + b) / 2 - middle, (c + d) / 2 - middle)
      let allowed = tolerance / 4 * norm + rounding
      guard abs(wide - narrow) <= allowed, abs(bend - 4 * halfBend) <= allowed * distance else { continue }
      return [
        count, Self.figure(norm), Self.figure(slope), FigureText.fixed(100 * (slope - norm) / norm, 2) + " %",
        abs(slope - norm) <= tolerance * norm + rounding ? "agrees" : "DIFFERS",
      ]
    }
    return [count, Self.figure(norm), "", "", "not checked: every distance changes a routing decision"]
  }

  private static func figure(_ value: Double) -> String { String(format: "%.5g", value) }

  /// Whether `name` matches `pattern`, in which `*` matches any characters.
  static func matches(_ name: String, _ pattern: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count > 1 else { return name == pattern }
    var rest = Substring(name)
    for (index, part) in parts.enumerated() where !part.isEmpty {
      if index == 0 {
        guard rest.hasPrefix(part) else { return false }
        rest = rest.dropFirst(part.count)
      } else if index == parts.count - 1 {
        return rest.hasSuffix(part)
      } else {
        guard let found = rest.firstRange(of: part) else { return false }
        rest = rest[found.upperBound...]
      }
    }
    return true
  }
}
