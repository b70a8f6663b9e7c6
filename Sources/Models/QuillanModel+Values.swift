import Layers
import Parameters
import Tensors

// The value head. Shapes: R rows of h [R, d], one value for each row.

extension QuillanModel {
  /// Writes value = h·value_head.weight + bias of each row of h.
  public func values(_ hidden: Matrix, _ weights: PackedModel, into values: Vector) {
    precondition(values.count == hidden.rows, "\(values.count) values of \(hidden.rows) rows")
    let weight = weights.rows(valueWeight).vector
    let bias = weights.rows(valueBias).vector[0]
    for row in 0..<hidden.rows { values[row] = hidden[row].dot(weight) + bias }
  }

  /// The value of each row of h.
  public func values(_ hidden: Matrix, _ weights: PackedModel) -> [Float] {
    var values = [Float](repeating: 0, count: hidden.rows)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { self.values(hidden, weights, into: Vector(base, count: buffer.count)) }
    }
    return values
  }

  /// Adds the value head's gradients, given dLoss/dvalue of each row; h receives no gradient (stop_gradient).
  public func backwardValues(_ hidden: Matrix, dValues: Vector, _ gradients: Gradients) {
    precondition(dValues.count == hidden.rows, "\(dValues.count) gradients of \(hidden.rows) values")
    let weight = gradients.store.rows(valueWeight).vector
    let bias = gradients.store.rows(valueBias).vector
    for row in 0..<hidden.rows {
      weight.add(hidden[row], times: dValues[row])
      bias[0] += dValues[row]
    }
  }
}
