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
    var tokens: [Int32] = []
    var text = ""
    for part in parts {
      switch part {
      case .member(let name):
        guard let value = name == "prompt" ? prompt.text : prompt.fields[name]?.textValue else {
          throw PromptTemplateError(problem: "{\(name)} is missing in the prompt's line, or not a string")
        }
        text += value
      case .literal(let literal):
        var rest = literal[...]
        while let (range, id) = Self.firstSpecial(in: rest, tokenizer.specialTokens) {
          text += rest[..<range.lowerBound]
          if !text.isEmpty { tokens += tokenizer.encode(text) }
          text = ""
          tokens.append(id)
          rest = rest[range.upperBound...]
        }
        text += rest
      }
    }
    return text.isEmpty ? tokens : tokens + tokenizer.encode(text)
  }

  /// The leftmost special token; of several at one position, the longest.
  private static func firstSpecial(in text: Substring, _ special: [String: Int32]) -> (Range<Substring.Index>, Int32)? {
    var found: (range: Range<Substring.Index>, id: Int32)?
    for (name, id) in special {
      guard let range = text.firstRange(of: name) else { continue }
      if let best = found?.range,
        range.lowerBound > best.lowerBound
          || (range.lowerBound == best.lowerBound && range.upperBound < best.upperBound)
      {
        continue
      }
      found = (range, id)
    }
    return found
  }
}

/// Why a template cannot be used, alone or with a prompt.
public struct PromptTemplateError: QuillanError, Equatable {
  public let problem: String

  public var status: ErrorStatus { .failure }
}
