import Errors

/// How a prompt becomes the model's input: text with members of the prompt's JSON object in braces.
///
///     "<|user|>{prompt}<|assistant|>"      "Q: {prompt}\nA: "      "{system}\n{prompt}"
///
/// `{prompt}` is the prompt's text; other names are members of its line in the prompt file. `{{` and `}}` are braces.
/// Names of special tokens in the template become those tokens; in a prompt's text they stay text, so data cannot forge
/// a turn. Without special tokens the whole text is encoded at once.
public struct PromptTemplate: Equatable, Sendable {
  enum Part: Equatable, Sendable {
    case literal(String)
    case member(String)
  }

  /// The prompt's text alone.
  public static let plain = PromptTemplate(parts: [.member("prompt")])

  let parts: [Part]

  private init(parts: [Part]) { self.parts = parts }

  /// The template's text between members.
  public var literals: [String] { parts.compactMap { if case .literal(let text) = $0 { text } else { nil } } }

  /// - Throws: `PromptTemplateError` if a brace is not closed, or contains anything but a name.
  public init(_ text: String) throws(PromptTemplateError) {
    var parts: [Part] = []
    var literal = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      if character == "{" || character == "}", rest.first == character {
        literal.append(character)
        rest.removeFirst()
      } else if character == "{" {
        guard let end = rest.firstIndex(of: "}") else {
          throw PromptTemplateError(problem: "a '{' is not closed; write '{{' for a brace")
        }
        let name = String(rest[..<end])
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
          throw PromptTemplateError(problem: "'{\(name)}' is not the name of a member; write '{{' for a brace")
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        literal = ""
        parts.append(.member(name))
        rest = rest[rest.index(after: end)...]
      } else if character == "}" {
        throw PromptTemplateError(problem: "a '}' without its '{'; write '}}' for a brace")
      } else {
        literal.append(character)
      }
    }
    if !literal.isEmpty { parts.append(.literal(literal)) }
    guard parts.contains(.member("prompt")) else {
      throw PromptTemplateError(problem: "{prompt} is missing, so all prompts would be the same")
    }
    self.parts = parts
  }

  /// The tokens that the model reads for a prompt.
  ///
  /// - Throws: `PromptTemplateError` if the prompt lacks a member.
  public func tokens(for prompt: Prompt, _ tokenizer: any Tokenizer) throws(PromptTemplateError) -> [Int32] {
    var writer = TokenWriter(tokenizer)
    for part in parts {
      switch part {
      case .member(let name): writer.append(try value(of: name, in: prompt))
      case .literal(let literal): writer.append(form: literal)
      }
    }
    return writer.finish()
  }

  /// The text for a prompt, in which names of special tokens stay text: the content of a user's message.
  ///
  /// - Throws: `PromptTemplateError` if the prompt lacks a member.
  public func text(for prompt: Prompt) throws(PromptTemplateError) -> String {
    var text = ""
    for part in parts {
      switch part {
      case .member(let name): text += try value(of: name, in: prompt)
      case .literal(let literal): text += literal
      }
    }
    return text
  }

  private func value(of name: String, in prompt: Prompt) throws(PromptTemplateError) -> String {
    guard let value = name == "prompt" ? prompt.text : prompt.fields[name]?.textValue else {
      throw PromptTemplateError(problem: "{\(name)} is missing in the prompt's line, or not a string")
    }
    return value
  }
}

/// Why a template or chat form cannot be used, alone or with a prompt.
public struct PromptTemplateError: QuillanError, Equatable {
  public let problem: String

  public init(problem: String) { self.problem = problem }

  public var status: ErrorStatus { .failure }
}
