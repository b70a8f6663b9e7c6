/// A built-in procedural task (`data.task`).
public struct TaskConfiguration: Sendable, Equatable {
  /// The tasks.
  public enum Name: String, Sendable, CaseIterable {
    case addition, subtraction, multiplication, sorting, reversal, copy
  }

  /// Which task.
  public var name = Name.addition
  /// Maximum digits of each number.
  public var digits = 2
  /// Minimum digits of each number; nil means `digits`.
  public var minimumDigits: Int?
  /// Whether numbers have leading zeros, so that all answers have the same length.
  public var zeroPadded = false
  /// Whether answers are written from the last digit to the first, the direction of carries.
  public var answerReversed = false
  /// Maximum items of each sequence (sorting, reversal, copy).
  public var length = 8
  /// Seed of the sampled problems; the held-out split does not depend on it.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

extension TaskConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<TaskConfiguration>] = [
    .choice("name", \.name, "which task"),
    .whole("digits", \.digits, in: 1...18, "maximum digits of each number"),
    .optionalWhole("minimum_digits", \.minimumDigits, "minimum digits of each number (default: digits)"),
    .flag("zero_padded", \.zeroPadded, "numbers with leading zeros, so that all answers have the same length"),
    .flag("answer_reversed", \.answerReversed, "answers from the last digit to the first, the direction of carries"),
    .whole("length", \.length, in: 1...65536, "maximum items of each sequence (sorting, reversal, copy)"),
    .seed("seed", \.seed, "seed of the sampled problems; the held-out split does not depend on it"),
  ]
}
