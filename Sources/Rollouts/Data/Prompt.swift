import Formats

/// A question and its answer.
public struct Prompt: Equatable, Sendable {
  /// The global number of this visit to a prompt, the same on every rank; not a position in a batch.
  public var id: Int64
  /// The text that the model continues.
  public var text: String
  /// The answer that rewards compare with; empty if the data has none and none is required.
  public var answer: String
  /// The other members of the prompt's JSON object, unchanged.
  public var fields: [String: JSONValue]
  /// The origin of the prompt, for messages: `file:line`, or the task's name.
  public var origin: String
  /// The conversation, if the data has messages instead of a text; `text` is then its transcript.
  public var messages: [ChatMessage]?
  /// The name of the prompt's source; nil for the only source.
  public var source: String?
  /// The form of the prompt's source; nil for the form of the configuration.
  public var form: PromptForm?

  public init(
    id: Int64, text: String, answer: String, fields: [String: JSONValue] = [:], origin: String,
    messages: [ChatMessage]? = nil
  ) {
    self.id = id
    self.text = text
    self.answer = answer
    self.fields = fields
    self.origin = origin
    self.messages = messages
  }

  /// A hash of text and answer, the same on every machine, which the prompt ledger adds up.
  public var digest: UInt64 { StableHash.hash(Array(text.utf8) + [0] + Array(answer.utf8)) }
}
