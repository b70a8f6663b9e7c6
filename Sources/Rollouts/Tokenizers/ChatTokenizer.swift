/// A tokenizer whose prompts are conversations: an answer ends with the form's end of a turn, and a completion with that
/// or with the end of a text.
public struct ChatTokenizer: Tokenizer {
  public let chatForm: ChatForm?
  public let answerEnd: Int32
  private let base: any Tokenizer

  /// - Throws: `TokenizerError` if the tokenizer lacks a special token of the form.
  public init(_ base: any Tokenizer, form: ChatForm) throws(TokenizerError) {
    let missing = form.controls.filter { base.specialTokens[$0] == nil }.min()
    guard missing == nil, let end = form.turnEnd(base) else {
      let known = base.specialTokens.keys.sorted().map { "'\($0)'" }
      let shown = known.prefix(8).joined(separator: ", ") + (known.count > 8 ? ", …" : "")
      throw TokenizerError(
        file: "data.chat", line: nil,
        problem: missing.map { "the tokenizer has no special token '\($0)'" }
          ?? "no special token of the tokenizer follows {content}, so that no turn ends",
        remedy: "use a form of its special tokens: \(known.isEmpty ? "it has none" : shown)", isConfiguration: true)
    }
    (self.base, chatForm, answerEnd) = (base, form, end)
  }

  public var vocabularySize: Int { base.vocabularySize }
  public var endToken: Int32 { base.endToken }
  public var specialTokens: [String: Int32] { base.specialTokens }
  public var completionEnds: [Int32] { answerEnd == endToken ? [endToken] : [answerEnd, endToken] }

  public func encode(bytes: [UInt8]) -> [Int32] { base.encode(bytes: bytes) }

  public func decodeBytes(_ ids: [Int32]) -> [UInt8] { base.decodeBytes(ids) }
}
