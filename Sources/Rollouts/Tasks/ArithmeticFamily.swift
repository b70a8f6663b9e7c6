/// Whole-number arithmetic: "47+38=" → "85".
public struct ArithmeticFamily: ProblemFamily {
  public enum Operation: String, CaseIterable, Sendable {
    case addition, subtraction, multiplication
  }

  public let operation: Operation
  /// Operands have from `minimumDigits` to `digits` digits, all numbers equally likely; 0 has one digit.
  public let digits: Int
  public let minimumDigits: Int
  /// Whether numbers are written with leading zeros, so that all prompts, and all answers, have the same length (except
  /// for the sign of a negative difference).
  public let isZeroPadded: Bool
  /// Whether the answer is written from its last digit to its first, the order in which carries run.
  public let isAnswerReversed: Bool

  public var name: String { operation.rawValue }

  /// - Throws: `TaskError` if digits are outside 1 … 9, or the minimum exceeds them.
  public init(
    operation: Operation, digits: Int, minimumDigits: Int? = nil, isZeroPadded: Bool = false,
    isAnswerReversed: Bool = false
  ) throws(TaskError) {
    if !(1...9).contains(digits) {
      throw TaskError(task: operation.rawValue, problem: "\(digits) digits", remedy: "give from 1 to 9")
    }
    let minimumDigits = minimumDigits ?? digits
    if !(1...digits).contains(minimumDigits) {
      throw TaskError(
        task: operation.rawValue, problem: "at least \(minimumDigits) of at most \(digits) digits",
        remedy: "give a minimum from 1 to \(digits)")
    }
    self.operation = operation
    self.digits = digits
    self.minimumDigits = minimumDigits
    self.isZeroPadded = isZeroPadded
    self.isAnswerReversed = isAnswerReversed
  }

  private var smallest: Int64 { minimumDigits == 1 ? 0 : Self.power(minimumDigits - 1) }

  public var radices: [UInt64] {
    let count = UInt64(Self.power(digits) - smallest)
    return [count, count]
  }

  public func canonical(_ choices: [UInt64]) -> [UInt64] { operation == .subtraction ? choices : choices.sorted() }

  public func identity(_ choices: [UInt64]) -> String {
    let numbers = canonical(choices).map { String(Int64($0) + smallest) }
    return "\(numbers[0])\(sign)\(numbers[1])="
  }

  private var sign: String {
    switch operation {
    case .addition: "+"
    case .subtraction: "-"
    case .multiplication: "*"
    }
  }

  public func problem(_ choices: [UInt64]) -> (text: String, answer: String) {
    let left = Int64(choices[0]) + smallest
    let right = Int64(choices[1]) + smallest
    let (result, width) =
      switch operation {
      case .addition: (left + right, digits + 1)
      case .subtraction: (left - right, digits)
      case .multiplication: (left * right, 2 * digits)
      }
    let magnitude = written(abs(result), width: width)
    let minus = result < 0 ? "-" : ""
    let answer = minus + (isAnswerReversed ? String(magnitude.reversed()) : magnitude)
    return (written(left, width: digits) + sign + written(right, width: digits) + "=", answer)
  }

  private func written(_ number: Int64, width: Int) -> String {
    let text = String(number)
    return isZeroPadded ? String(repeating: "0", count: max(0, width - text.count)) + text : text
  }

  private static func power(_ exponent: Int) -> Int64 { (0..<exponent).reduce(1) { power, _ in power * 10 } }
}
