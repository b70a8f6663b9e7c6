/// A built-in procedural task (`data.task`).
public struct TaskConfiguration: Sendable, Equatable {
  /// The tasks.
  public enum Name: String, Sendable, CaseIterable {
    case addition, subtraction, multiplication, sorting, reversal, copy
  }

  /// Which task.
  public var name = Name.addition
  /// Digits of each number, at most.
  public var digits = 2
  /// Digits of each number, at least; nil: as many as at most.
  public var minimumDigits: Int?
  /// Whether numbers are written with leading zeros, so that all answers have one length.
  public var zeroPadded = false
  /// Whether answers are written from the last digit to the first, the order in which carries run.
  public var answerReversed = false
  /// Items of each sequence (sorting, reversal, copy), at most.
  public var length = 8
  /// Seed of the problems that are drawn; which ones are held out does not depend on it.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

extension TaskConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<TaskConfiguration>] = [
    .choice("name", \.name, "which task"),
    .whole("digits", \.digits, in: 1...18, "digits of each number, at most"),
    .optionalWhole("minimum_digits", \.minimumDigits, "digits of each number, at least (default: digits)"),
    .flag("zero_padded", \.zeroPadded, "numbers with leading zeros, so that all answers have one length"),
    .flag("answer_reversed", \.answerReversed, "answers from the last digit to the first, as carries run"),
    .whole("length", \.length, in: 1...65536, "items of each sequence (sorting, reversal, copy), at most"),
    .seed("seed", \.seed, "seed of the problems that are drawn; which are held out does not depend on it"),
  ]
}
