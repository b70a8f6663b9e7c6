import Errors

/// A value that has no code: NaN or infinite.
public struct BitEncoderError: QuillanError {
  /// The value's index in the tensor, row-major.
  public let element: Int
  public let value: Float

  public var status: ErrorStatus { .failure }
  public var place: String? { "element \(element) of the tensor to encode" }
  public var problem: String { "the value is \(value)" }
  public var remedy: String? { "encode finite values only" }
}
