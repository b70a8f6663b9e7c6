import Layers
import Parameters
import Tensors

extension QuillanModel {
  /// Writes value = h·value_head.weight + bias of each row of h.
  public func values(_ hidden: Matrix, _ weights: PackedModel, into values: UnsafeMutablePointer<Float>) {
    let weight = weights.values(valueWeight)
    let bias = weights.values(valueBias)[0]
    for row in 0..<hidden.rows {
      values[row] = Kernels.table.pointee.dot(Int64(hidden.columns), hidden.row(row), weight) + bias
    }
  }

  /// The value of each row of h.
  public func values(_ hidden: Matrix, _ weights: PackedModel) -> [Float] {
    var values = [Float](repeating: 0, count: hidden.rows)
    self.values(hidden, weights, into: &values)
    return values
  }

  /// Adds the value head's gradients, given dLoss/dvalue of each row; h receives no gradient (stop_gradient).
  public func backwardValues(_ hidden: Matrix, dValues: UnsafePointer<Float>, _ gradients: Gradients) {
    let weight = gradients.store.pointer(valueWeight)
    let bias = gradients.store.pointer(valueBias)
    for row in 0..<hidden.rows {
      Kernels.table.pointee.add_scaled(Int64(hidden.columns), dValues[row], hidden.row(row), weight)
      bias[0] += dValues[row]
    }
  }
}
