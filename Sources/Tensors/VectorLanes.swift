/// The sixteen fp32 lanes (64 bytes) of the kernels' vectors. Tensors in a store start at multiples of them, and packed
/// matrices keep their rows in panels of as many.
package enum VectorLanes {
  package static let count = 16

  /// `elements` rounded up to whole vectors.
  package static func padded(_ elements: Int) -> Int { panels(elements) * count }

  /// Number of vectors, or of panels of rows, that hold `elements`.
  package static func panels(_ elements: Int) -> Int { (elements + count - 1) / count }
}
