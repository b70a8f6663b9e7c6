import Formats

/// The members of a data file's objects that hold prompt, answer and text.
///
/// A name with dots that is not itself a member is a path: `reward_model.ground_truth` is the member `ground_truth` of
/// the object `reward_model`.
public struct PromptMembers: Equatable, Sendable {
  /// Nil: `prompt`, or `messages` if a line lacks `prompt`.
  public var prompt: String?
  /// Nil: `answer`.
  public var answer: String?
  /// The document of a text for pre-training. Nil: `text`.
  public var text: String?

  public init(prompt: String? = nil, answer: String? = nil, text: String? = nil) {
    self.prompt = prompt
    self.answer = answer
    self.text = text
  }

  /// The value of a member, or at a path of members.
  static func value(_ name: String, of members: [String: JSONValue]) -> JSONValue? {
    if let value = members[name] { return value }
    let path = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard path.count > 1 else { return nil }
    return path.dropFirst().reduce(members[path[0]]) { $0?.objectValue?[$1] }
  }
}
