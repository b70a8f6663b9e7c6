import Errors

/// How a conversation becomes the model's input: a text per message, and the beginning of the assistant's answer.
///
///     <|im_start|>{role}\n{content}<|im_end|>\n
///
/// Names of special tokens in the form become those tokens; in a message's content they stay text, so that nobody can
/// forge a turn.
public struct ChatForm: Equatable, Sendable {
  /// Text before the first message.
  public let begin: String
  /// The content of the system message that a conversation without one begins with.
  public let system: String?
  /// Whether white space around a message's content is removed.
  public let trims: Bool
  /// The text of a message: before the role, between role and content, and after the content.
  private let parts: (beforeRole: String, beforeContent: String, afterContent: String)

  /// `<|im_start|>role … <|im_end|>`, the form of Qwen, SmolLM and many others.
  public static let chatML = ChatForm(parts: ("<|im_start|>", "\n", "<|im_end|>\n"))

  /// The form of Llama-3.
  public static let llama3 = ChatForm(
    begin: "<|begin_of_text|>", parts: ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"), trims: true)

  /// The roles that messages may have. A role is part of the form, so that it must not come from anywhere.
  public static let roles = ["system", "developer", "user", "assistant", "tool", "ipython"]

  private init(
    begin: String = "", parts: (beforeRole: String, beforeContent: String, afterContent: String), trims: Bool = false,
    system: String? = nil
  ) {
    (self.begin, self.parts, self.trims, self.system) = (begin, parts, trims, system)
  }

  /// A form of one's own.
  ///
  /// - Parameter turn: the text of a message, with `{role}` and after it `{content}`.
  /// - Throws: `PromptTemplateError` if `turn` lacks either, or nothing follows the content.
  public init(begin: String = "", turn: String, trims: Bool = false, system: String? = nil)
    throws(PromptTemplateError)
  {
    guard let role = turn.firstRange(of: "{role}"), let content = turn.firstRange(of: "{content}"),
      role.upperBound <= content.lowerBound, turn.ranges(of: "{role}").count == 1,
      turn.ranges(of: "{content}").count == 1
    else { throw PromptTemplateError(problem: "must contain {role} and after it {content}, each once") }
    let afterContent = String(turn[content.upperBound...])
    guard !afterContent.isEmpty else {
      throw PromptTemplateError(problem: "must end with the special token that ends a turn, after {content}")
    }
    self.init(
      begin: begin,
      parts: (String(turn[..<role.lowerBound]), String(turn[role.upperBound..<content.lowerBound]), afterContent),
      trims: trims, system: system)
  }

  /// This form with a system message for conversations without one.
  public func with(system: String?) -> ChatForm { ChatForm(begin: begin, parts: parts, trims: trims, system: system) }

  public static func == (one: ChatForm, other: ChatForm) -> Bool {
    one.begin == other.begin && one.parts == other.parts && one.trims == other.trims && one.system == other.system
  }

  /// The text of a message, with `{role}` and `{content}`.
  public var turn: String { parts.beforeRole + "{role}" + parts.beforeContent + "{content}" + parts.afterContent }

  /// The text between the role and the end of a turn's beginning, after which the content is written.
  private func opening(_ role: String) -> String { parts.beforeRole + role + parts.beforeContent }

  /// The tokens of a conversation, after which the assistant answers.
  ///
  /// - Throws: `PromptTemplateError` if a role is not one of `roles`, or has no special token of its own in a form that
  ///   has one for each role.
  public func tokens(
    of messages: [ChatMessage], _ tokenizer: any Tokenizer
  ) throws(PromptTemplateError) -> [Int32] {
    var writer = TokenWriter(tokenizer)
    writer.append(form: begin)
    for message in complete(messages) {
      try check(message.role, tokenizer)
      writer.append(form: opening(message.role))
      writer.append(trims ? Self.trimmed(message.content) : message.content)
      writer.append(form: parts.afterContent)
    }
    writer.append(form: opening("assistant"))
    return writer.finish()
  }

  /// The messages with the form's system message in front, unless they begin with one.
  private func complete(_ messages: [ChatMessage]) -> [ChatMessage] {
    guard let system, messages.first?.role != "system" else { return messages }
    return [ChatMessage(role: "system", content: system)] + messages
  }

  private func check(_ role: String, _ tokenizer: any Tokenizer) throws(PromptTemplateError) {
    guard Self.roles.contains(role) else {
      throw PromptTemplateError(
        problem: "the role '\(role.prefix(40))' is not one of \(Self.roles.joined(separator: ", "))")
    }
    if let name = SpecialTokens.names(in: opening(role)).first(where: { tokenizer.specialTokens[$0] == nil }) {
      throw PromptTemplateError(problem: "the role '\(role)' needs '\(name)', which is not a special token")
    }
  }

  /// The text without white space at both ends, as Python's `strip` and the `trim` of templates remove it.
  private static func trimmed(_ text: String) -> String {
    var scalars = Substring(text).unicodeScalars
    let isSpace = { (scalar: Unicode.Scalar) in
      scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }
    while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
    while let last = scalars.last, isSpace(last) { scalars.removeLast() }
    return String(scalars)
  }
}

extension ChatForm {
  /// The names in the form that must be special tokens: those written `<|…|>`, and the first in angle brackets after
  /// the content.
  var controls: Set<String> {
    let texts = [begin, parts.afterContent] + ["user", "assistant"].map(opening)
    return Set(texts.flatMap(SpecialTokens.names)).union(endName.map { [$0] } ?? [])
  }

  /// The names that become special if a tokenizer's file has them.
  public var possibleControls: Set<String> {
    controls.union(Self.roles.flatMap { SpecialTokens.names(in: opening($0)) })
  }

  /// The name in angle or square brackets that follows a message's content.
  private var endName: String? {
    let text = parts.afterContent
    guard let start = text.firstIndex(where: { $0 == "<" || $0 == "[" }),
      let end = text[start...].firstIndex(of: text[start] == "<" ? ">" : "]")
    else { return nil }
    return String(text[start...end])
  }

  /// The special token that ends a turn; nil if the tokenizer has none in the form.
  func turnEnd(_ tokenizer: any Tokenizer) -> Int32? {
    SpecialTokens.first(in: parts.afterContent[...], tokenizer.specialTokens)?.1
  }

  /// The form as a Jinja template, the `chat_template` of `tokenizer_config.json`.
  public var template: String {
    let quote = { (text: String) in
      "'" + text.map { $0 == "\n" ? "\\n" : $0 == "\\" || $0 == "'" ? "\\\($0)" : String($0) }.joined() + "'"
    }
    let content = trims ? "(message['content'] | trim)" : "message['content']"
    let role = "\(quote(parts.beforeRole)) + message['role'] + \(quote(parts.beforeContent))"
    let message = "{{ \(role) + \(content) + \(quote(parts.afterContent)) }}"
    var template = begin.isEmpty ? "" : "{{ \(quote(begin)) }}"
    if let system {
      let text = opening("system") + (trims ? Self.trimmed(system) : system) + parts.afterContent
      template +=
        "{% if not messages or messages[0]['role'] != 'system' %}{{ \(quote(text)) }}{% endif %}"
    }
    return template + "{% for message in messages %}\(message){% endfor %}"
      + "{% if add_generation_prompt %}{{ \(quote(opening("assistant"))) }}{% endif %}"
  }
}
