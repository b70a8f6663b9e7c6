import Rollouts

/// The form of conversations (`data.chat`): a published form by its name, or a group of keys.
public struct ChatConfiguration: Sendable, Equatable {
  /// The forms.
  public enum Form: String, Sendable, CaseIterable { case chatml, llama3, custom }

  /// Which form; `custom` has its own `turn`.
  public var form = Form.custom
  /// With `custom`: the text of a message, with {role} and {content}.
  public var turn: String?
  /// With `custom`: text before the first message.
  public var begin: String?
  /// With `custom`: whether white space around a message's content is removed.
  public var trim = false
  /// The content of the system message that conversations without one begin with.
  public var system: String?

  /// A form without a turn.
  public init() {}

  /// The form.
  ///
  /// - Throws: `PromptTemplateError` if `turn` is missing or unusable, or there is one beside a published form.
  public func chatForm() throws(PromptTemplateError) -> ChatForm {
    if form != .custom, turn != nil || begin != nil || trim {
      throw PromptTemplateError(problem: "turn, begin and trim are keys of the form custom; remove them or the form")
    }
    switch form {
    case .chatml: return .chatML.with(system: system)
    case .llama3: return .llama3.with(system: system)
    case .custom:
      guard let turn else {
        throw PromptTemplateError(problem: "the form custom needs a turn, with {role} and {content}")
      }
      do throws(PromptTemplateError) {
        return try ChatForm(begin: begin ?? "", turn: turn, trims: trim, system: system)
      } catch {
        throw PromptTemplateError(problem: "turn \(error.problem)")
      }
    }
  }

  /// The value as YAML on one line.
  public var text: String {
    form != .custom && system == nil ? form.rawValue : Self.write(self)
  }
}

extension ChatConfiguration: ConfigurationGroup {
  static let requiredKeys: [String] = []
  static let fields: [ConfigurationField<ChatConfiguration>] = [
    .choice("form", \.form, "chatml, llama3, or custom"),
    .optionalText("turn", \.turn, "text of a message, with {role} and {content} (custom)"),
    .optionalText("begin", \.begin, "text before the first message (custom)"),
    .flag("trim", \.trim, "remove white space around a message's content (custom)"),
    .optionalText("system", \.system, "content of the system message of conversations without one"),
  ]
}

extension ConfigurationField where Root == RunConfiguration {
  /// `data.chat`: the name of a form, or a group of keys, also as text.
  static let chat = Self(
    key: "chat", kind: "chatml, llama3, group of keys or null",
    documentation: "how conversations are written: chatml, llama3, or form, turn, begin, trim, system",
    decode: { (node, name, root) throws(ConfigurationError) in
      var node = node
      // Model descriptions keep every value as a scalar.
      if let text = node.text, text.hasPrefix("{") {
        let location = node.location
        node = try ConfigurationNode.parse(text, place: { _ in location }) ?? node
      }
      if node.isNull {
        root.data.chat = nil
      } else if let text = node.text {
        guard let form = ChatConfiguration.Form(rawValue: text), form != .custom else {
          throw ConfigurationError(
            node.location, "\(name) must be chatml, llama3, a group of keys or null, got \(node.shown)")
        }
        var chat = ChatConfiguration()
        chat.form = form
        root.data.chat = chat
      } else {
        root.data.chat = try ChatConfiguration.read(node, name: name)
      }
    },
    encode: { $0.data.chat?.text ?? "null" })
}
