/// A question and what counts as its answer.
public struct Prompt: Equatable, Sendable {
  /// The global number of this visit to a prompt: the same on every rank, and never a position in a batch.
  public var id: Int64
  /// What the model reads.
  public var text: String
  /// What the rewards compare with; empty where the data has none and none is asked for.
  public var answer: String
  /// The other members of the prompt's JSON object, as they were.
  public var fields: [String: JSONValue]
  /// Where the prompt is from, for error lines: `file:line`, or the task's name.
  public var origin: String

  public init(id: Int64, text: String, answer: String, fields: [String: JSONValue] = [:], origin: String) {
    self.id = id
    self.text = text
    self.answer = answer
    self.fields = fields
    self.origin = origin
  }

  /// A hash of text and answer, the same on every machine: what the prompt ledger adds up.
  public var digest: UInt64 { StableHash.hash(Array(text.utf8) + [0] + Array(answer.utf8)) }
}

/// The two parts of a set of problems, which never share one.
public enum Split: String, CaseIterable, Sendable {
  case train
  case heldOut = "held_out"
}
