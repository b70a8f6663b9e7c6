/// The built-in tasks by the names that a configuration uses.
public enum BuiltInTask: String, CaseIterable, Sendable {
  case addition, subtraction, multiplication, sorting, reversal, copy

  /// How difficult a task is, and how it is written.
  public struct Options: Equatable, Sendable {
    /// Digits of an operand, or symbols of a string, at most.
    public var size = 2
    /// At least; `nil` means `size`.
    public var minimumSize: Int?
    /// Arithmetic: leading zeros (`ArithmeticFamily.isZeroPadded`).
    public var isZeroPadded = false
    /// Arithmetic: the answer from its last digit (`ArithmeticFamily.isAnswerReversed`).
    public var isAnswerReversed = false
    /// Strings: of what.
    public var alphabet = SequenceFamily.Alphabet.digits

    public init() {}
  }

  /// The problems of the task.
  ///
  /// - Throws: `TaskError` where a size is out of range.
  public func family(_ options: Options = Options()) throws(TaskError) -> any ProblemFamily {
    if let operation = ArithmeticFamily.Operation(rawValue: rawValue) {
      return try ArithmeticFamily(
        operation: operation, digits: options.size, minimumDigits: options.minimumSize,
        isZeroPadded: options.isZeroPadded, isAnswerReversed: options.isAnswerReversed)
    }
    guard let operation = SequenceFamily.Operation(rawValue: rawValue) else {
      preconditionFailure("the task \(rawValue) belongs to no family")
    }
    return try SequenceFamily(
      operation: operation, alphabet: options.alphabet, length: options.size, minimumLength: options.minimumSize)
  }
}
