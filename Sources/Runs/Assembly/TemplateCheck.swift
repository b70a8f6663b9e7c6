import Configuration
import Rollouts

/// Finds names in a prompt template that resemble special tokens but are not, so that the model would read plain text.
enum TemplateCheck {
  /// One line for each such name.
  static func warnings(_ template: PromptTemplate, _ tokenizer: any Tokenizer) -> [String] {
    let special = tokenizer.specialTokens.keys.sorted()
    var names: [String] = []
    for literal in template.literals {
      for name in candidates(in: literal) where tokenizer.specialTokens[name] == nil && !names.contains(name) {
        guard name.count <= 40 else { continue }
        let isToken = name.hasPrefix("<|") && name.hasSuffix("|>")
        if isToken || special.contains(where: { isNear(name, $0) }) { names.append(name) }
      }
    }
    if tokenizer.chatForm != nil {
      return special.filter { name in template.literals.contains { $0.contains(name) } }.map {
        "data.template: '\($0)' is read as plain text in the user's message; data.chat writes the special tokens"
      }
    }
    let known =
      special.isEmpty
      ? "none" : "\(special.prefix(8).joined(separator: " "))\(special.count > 8 ? " …" : "")"
    return names.map {
      "data.template: '\($0)' is not a special token of the tokenizer and is read as plain text; "
        + "special tokens: \(known)"
    }
  }

  /// Whether `name` differs from `other` by at most two letters, and by less than a third of its length.
  private static func isNear(_ name: String, _ other: String) -> Bool {
    let edits = KeyDistance.edits(Array(name), Array(other))
    return edits <= 2 && 3 * edits < name.count
  }

  /// Words in angle or square brackets.
  private static func candidates(in text: String) -> [String] {
    var found: [String] = []
    var rest = text[...]
    while let start = rest.firstIndex(where: { $0 == "<" || $0 == "[" }) {
      let close: Character = rest[start] == "<" ? ">" : "]"
      rest = rest[start...]
      if let end = rest.dropFirst().firstIndex(where: { $0 == close || $0.isWhitespace || $0 == "<" || $0 == "[" }),
        rest[end] == close
      {
        found.append(String(rest[...end]))
      }
      rest = rest.dropFirst()
    }
    return found
  }
}
