/// Problems of one kind, each described by a row of choices: choice i is a number below radices[i].
public protocol ProblemFamily: Sendable {
  var name: String { get }

  /// How many values each choice has; at least one each.
  var radices: [UInt64] { get }

  /// The choices that stand for all that are the same problem, for example a + b and b + a.
  func canonical(_ choices: [UInt64]) -> [UInt64]

  /// The text that stands for all that are the same problem, however the family's settings have it written: without
  /// leading zeros, and with the operands of a sum in one order.
  func identity(_ choices: [UInt64]) -> String

  /// What the model reads, and the one right answer.
  func problem(_ choices: [UInt64]) -> (text: String, answer: String)
}
