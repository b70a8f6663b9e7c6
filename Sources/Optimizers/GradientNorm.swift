/// The global gradient norm and the factor that clips it, from one float64 partial per tensor.
///
/// Partials are summed in the order of the tensors' names (bytes of UTF-8), wherever they were computed, so the norm
/// does not depend on the layout over ranks. Every parameter of every rank counts once: the caller gives each tensor
/// to it exactly once.
public enum GradientNorm {
  /// Σ g² of one tensor in float64. Eight interleaved sums are added in a fixed order, so the result depends on the
  /// elements only.
  public static func squaredSum(_ gradients: UnsafePointer<Float>, count: Int) -> Double {
    var lanes = SIMD8<Double>.zero
    let whole = count - count % 8
    for start in stride(from: 0, to: whole, by: 8) {
      let eight = UnsafeRawPointer(gradients + start).loadUnaligned(as: SIMD8<Float>.self)
      let wide = SIMD8<Double>(eight)
      lanes += wide * wide
    }
    var sum = 0.0
    for lane in 0..<8 { sum += lanes[lane] }
    for index in whole..<count { sum += Double(gradients[index]) * Double(gradients[index]) }
    return sum
  }

  /// The norm over all tensors: the square root of the partials' sum in name order. Not finite where any gradient is
  /// not, which the caller must check before it steps.
  ///
  /// - Precondition: no name appears twice.
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

  /// min(1, maximum/(norm + 1e-6)): the factor that every gradient is multiplied with.
  public static func clipScale(norm: Double, maximum: Double) -> Double {
    precondition(maximum > 0, "max_grad_norm must be positive, got \(maximum)")
    let scale = maximum / (norm + 1e-6)
    return scale < 1 ? scale : 1
  }
}
