/// A value that has no code: NaN or infinite.
public struct BitEncoderError: Error, Sendable, CustomStringConvertible {
  /// The value's index in the tensor, row-major.
  public let element: Int
  public let value: Float

  public var description: String {
    "element \(element) of the tensor to encode is \(value); encode finite values only"
  }
}
