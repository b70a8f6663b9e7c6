/// Problems of one kind, each described by a row of choices: choice i is a number below radices[i].
public protocol ProblemFamily: Sendable {
  var name: String { get }

  /// The number of values of each choice, at least one.
  var radices: [UInt64] { get }

  /// The representative of all choices that are the same problem, for example a + b and b + a.
  func canonical(_ choices: [UInt64]) -> [UInt64]

  /// The representative text of a problem, the same for all settings of the family: without leading zeros, and with the
  /// operands of a sum in one order.
  func identity(_ choices: [UInt64]) -> String

  /// The prompt's text, and the only correct answer.
  func problem(_ choices: [UInt64]) -> (text: String, answer: String)
}
