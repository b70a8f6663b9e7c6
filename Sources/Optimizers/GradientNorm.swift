import Tensors

/// The global gradient norm and the clipping factor, from one float64 partial sum per tensor.
///
/// Partial sums are added in the order of the tensors' names (UTF-8 bytes), wherever they were computed, so the norm
/// does not depend on the layout over ranks. The caller passes each tensor of the model exactly once.
public enum GradientNorm {
  /// Elements of a chunk of a tensor; the sums of the chunks are added in order.
  static let chunk = 1 << 16

  /// Σ g² of one tensor in float64, in a fixed order that depends only on the number of elements.
  public static func squaredSum(_ gradients: Vector) -> Double {
    var sum = 0.0
    for start in stride(from: 0, to: gradients.count, by: chunk) {
      sum += gradients.part(start..<min(start + chunk, gradients.count)).squaredSum
    }
    return sum
  }

  /// The norm over all tensors: the square root of the sum of the partials in name order. It is not finite if any
  /// gradient is not finite; the caller must check this before the update.
  ///
  /// - Precondition: names are unique.
  public static func norm(squaredSums: [(name: String, squaredSum: Double)]) -> Double {
    let inOrder = squaredSums.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    var sum = 0.0
    var previous: String?
    for (name, squaredSum) in inOrder {
      precondition(name != previous, "tensor '\(name)' counted twice in the gradient norm")
      previous = name
      sum += squaredSum
    }
    return sum.squareRoot()
  }

  /// min(1, maximum/(norm + 1e-6)): the factor for every gradient.
  public static func clipScale(norm: Double, maximum: Double) -> Double {
    precondition(maximum > 0, "max_grad_norm must be positive, got \(maximum)")
    let scale = maximum / (norm + 1e-6)
    return scale < 1 ? scale : 1
  }
}
