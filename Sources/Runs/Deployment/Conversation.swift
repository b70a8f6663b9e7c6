import Rollouts

/// A chat, also as text that a model without special tokens can continue: a line "User: …" or "Assistant: …" per turn.
public struct Conversation: Sendable, Equatable {
  public struct Turn: Sendable, Equatable {
    public let isUser: Bool
    public var text: String
  }

  /// Text before the first turn.
  public var system: String?
  public private(set) var turns: [Turn] = []

  /// The stop string of an answer: the user's next turn.
  public static let stop = "\nUser:"

  public init(system: String? = nil) { self.system = system }

  /// The text for the assistant to continue.
  public var prompt: String {
    var text = system.map { $0 + "\n\n" } ?? ""
    for turn in turns { text += (turn.isUser ? "User: " : "Assistant: ") + turn.text + "\n" }
    return text + "Assistant:"
  }

  /// The turns as messages, for a chat form.
  public var messages: [ChatMessage] {
    let system = self.system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    return system + turns.map { ChatMessage(role: $0.isUser ? "user" : "assistant", content: $0.text) }
  }

  public mutating func ask(_ text: String) { turns.append(Turn(isUser: true, text: text)) }

  /// Appends the assistant's answer without surrounding white space.
  public mutating func answer(_ text: String) {
    var trimmed = Substring(text)
    while trimmed.first?.isWhitespace == true { trimmed.removeFirst() }
    while trimmed.last?.isWhitespace == true { trimmed.removeLast() }
    turns.append(Turn(isUser: false, text: String(trimmed)))
  }

  /// Removes the last question and its answer; returns the question.
  @discardableResult
  public mutating func undo() -> String? {
    while let last = turns.popLast() {
      if last.isUser { return last.text }
    }
    return nil
  }

  /// Removes the oldest question and answer; returns false if only the last question is left.
  public mutating func forgetOldest() -> Bool {
    guard turns.count > 1 else { return false }
    turns.removeFirst()
    if turns.first?.isUser == false { turns.removeFirst() }
    return !turns.isEmpty
  }
}
