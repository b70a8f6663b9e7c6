/// Text to token ids and back.
///
/// Every tokenizer encodes any bytes, also invalid UTF-8, and `decodeBytes(encode(bytes:))` returns them, unless the
/// tokenizer's file says otherwise (normalisation, white space that an added token takes, bytes without a token).
/// Special tokens (end, begin, pad) are never produced from text, and decode to nothing, so that a decoded completion is
/// exactly the written text.
public protocol Tokenizer: Sendable {
  /// Ids are 0 ..< vocabularySize.
  var vocabularySize: Int { get }

  /// The id that ends a text.
  var endToken: Int32 { get }

  /// Special tokens by their names in a prompt template.
  var specialTokens: [String: Int32] { get }

  /// How conversations are written; nil if prompts are plain text.
  var chatForm: ChatForm? { get }

  /// The ids that end a completion.
  var completionEnds: [Int32] { get }

  /// The id that ends an answer to learn from.
  var answerEnd: Int32 { get }

  /// The token ids of a byte string.
  func encode(bytes: [UInt8]) -> [Int32]

  /// The bytes of the tokens. An id outside the vocabulary (a model may have more rows than its tokenizer has tokens)
  /// gives the three bytes of U+FFFD.
  func decodeBytes(_ ids: [Int32]) -> [UInt8]
}

extension Tokenizer {
  /// None.
  public var specialTokens: [String: Int32] { [:] }

  /// None.
  public var chatForm: ChatForm? { nil }

  /// The end token.
  public var completionEnds: [Int32] { [endToken] }

  /// The end token.
  public var answerEnd: Int32 { endToken }

  /// The token ids of the text's UTF-8.
  public func encode(_ text: String) -> [Int32] { encode(bytes: Array(text.utf8)) }

  /// The text of the tokens; bytes that are not UTF-8 become U+FFFD.
  public func decode(_ ids: [Int32]) -> String { String(decoding: decodeBytes(ids), as: UTF8.self) }
}

/// The UTF-8 of U+FFFD, which stands for an id outside the vocabulary.
let replacementBytes: [UInt8] = [0xEF, 0xBF, 0xBD]
