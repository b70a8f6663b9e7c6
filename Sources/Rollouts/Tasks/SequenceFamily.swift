/// Rearrangement of short strings: "sort 3142=" → "1234", "reverse 3142=" → "2413", "copy 3142=" → "3142".
public struct SequenceFamily: ProblemFamily {
  public enum Operation: String, CaseIterable, Sendable {
    case sorting, reversal, copy
  }

  public enum Alphabet: String, CaseIterable, Sendable {
    case digits, letters

    var symbols: [Character] { Array(self == .digits ? "0123456789" : "abcdefghijklmnopqrstuvwxyz") }
  }

  public let operation: Operation
  public let alphabet: Alphabet
  /// Symbols in a string: from `minimumLength` to `length`, all lengths equally likely.
  public let length: Int
  public let minimumLength: Int

  public var name: String { operation.rawValue }

  /// - Throws: `TaskError` if the length is outside 1 … 1,000, or the minimum exceeds it.
  public init(operation: Operation, alphabet: Alphabet, length: Int, minimumLength: Int? = nil) throws(TaskError) {
    if !(1...1000).contains(length) {
      throw TaskError(task: operation.rawValue, problem: "a length of \(length)", remedy: "give from 1 to 1000")
    }
    let minimumLength = minimumLength ?? length
    if !(1...length).contains(minimumLength) {
      throw TaskError(
        task: operation.rawValue, problem: "a length from \(minimumLength) to \(length)",
        remedy: "give a minimum from 1 to \(length)")
    }
    self.operation = operation
    self.alphabet = alphabet
    self.length = length
    self.minimumLength = minimumLength
  }

  /// The length's choice, then one choice per symbol; those beyond the length are not used.
  public var radices: [UInt64] {
    [UInt64(length - minimumLength + 1)] + Array(repeating: UInt64(alphabet.symbols.count), count: length)
  }

  public func canonical(_ choices: [UInt64]) -> [UInt64] { Array(choices[...(minimumLength + Int(choices[0]))]) }

  public func identity(_ choices: [UInt64]) -> String { problem(choices).text }

  public func problem(_ choices: [UInt64]) -> (text: String, answer: String) {
    let symbols = alphabet.symbols
    let text = String(canonical(choices).dropFirst().map { symbols[Int($0)] })
    switch operation {
    case .sorting: return ("sort \(text)=", String(text.sorted()))
    case .reversal: return ("reverse \(text)=", String(text.reversed()))
    case .copy: return ("copy \(text)=", text)
    }
  }
}
