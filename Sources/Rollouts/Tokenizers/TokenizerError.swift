/// A fault of a tokenizer's files: what is wrong, where, and what to do, in one line.
public struct TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
  public let file: String
  /// The line, from 1, where the fault belongs to one.
  public let line: Int?
  public let problem: String
  public let remedy: String

  public init(file: String, line: Int?, problem: String, remedy: String) {
    self.file = file
    self.line = line
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String {
    let place = line.map { "\(file):\($0)" } ?? file
    return "\(place): \(problem); \(remedy)"
  }
}
