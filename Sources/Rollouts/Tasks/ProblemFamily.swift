/// Problems of one kind, each described by a row of choices: choice i is a number below radices[i].
public protocol ProblemFamily: Sendable {
  var name: String { get }

  /// How many values each choice has; at least one each.
  var radices: [UInt64] { get }

  /// The choices that stand for all that are the same problem, for example a + b and b + a. A problem's part is decided
  /// by them.
  func canonical(_ choices: [UInt64]) -> [UInt64]

  /// What the model reads, and the one right answer.
  func problem(_ choices: [UInt64]) -> (text: String, answer: String)
}
