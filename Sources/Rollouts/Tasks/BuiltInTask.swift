/// The built-in tasks by their names in a configuration.
public enum BuiltInTask: String, CaseIterable, Sendable {
  case addition, subtraction, multiplication, sorting, reversal, copy

  /// The difficulty and notation of a task.
  public struct Options: Equatable, Sendable {
    /// The maximum number of digits of an operand, or of symbols of a string.
    public var size = 2
    /// The minimum number; nil means `size`.
    public var minimumSize: Int?
    /// Arithmetic: leading zeros (`ArithmeticFamily.isZeroPadded`).
    public var isZeroPadded = false
    /// Arithmetic: the answer starts with its last digit (`ArithmeticFamily.isAnswerReversed`).
    public var isAnswerReversed = false
    /// Strings: the symbols.
    public var alphabet = SequenceFamily.Alphabet.digits

    public init() {}
  }

  /// The problems of the task.
  ///
  /// - Throws: `TaskError` if a size is out of range.
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
