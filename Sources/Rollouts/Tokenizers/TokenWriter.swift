/// Joins text that is not trusted and text of a form, in which names of special tokens are those tokens.
///
/// Text between special tokens is encoded at once, whatever it was joined from.
struct TokenWriter {
  private let tokenizer: any Tokenizer
  private var tokens: [Int32] = []
  private var text = ""

  init(_ tokenizer: any Tokenizer) { self.tokenizer = tokenizer }

  /// Appends text in which names of special tokens stay text.
  mutating func append(_ text: String) { self.text += text }

  /// Appends text in which names of special tokens are the tokens.
  mutating func append(form: String) {
    var rest = form[...]
    while let (range, id) = SpecialTokens.first(in: rest, tokenizer.specialTokens) {
      append(String(rest[..<range.lowerBound]))
      encodeText()
      tokens.append(id)
      rest = rest[range.upperBound...]
    }
    append(String(rest))
  }

  /// The tokens of all that was appended.
  mutating func finish() -> [Int32] {
    encodeText()
    return tokens
  }

  private mutating func encodeText() {
    if !text.isEmpty { tokens += tokenizer.encode(text) }
    text = ""
  }
}
