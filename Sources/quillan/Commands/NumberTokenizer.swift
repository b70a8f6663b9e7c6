import Models
import Rollouts

/// Writes and reads token ids as decimal numbers, for models whose tokenizer is not available.
struct NumberTokenizer: Tokenizer {
  let vocabularySize: Int
  /// The id that ends a sequence.
  let endToken: Int32
  /// An end token that is never sampled.
  static let noToken: Int32 = -1

  init(_ model: QuillanModel, endToken: Int32) {
    vocabularySize = model.configuration.vocabSize
    self.endToken = endToken
  }

  /// - Throws: `CommandError` for a word that is not an id of the vocabulary.
  static func parse(_ text: String, vocabulary: Int) throws(CommandError) -> [Int32] {
    var tokens: [Int32] = []
    for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "," }) {
      guard let token = Int32(word), token >= 0, Int(token) < vocabulary else {
        throw CommandError(
          .data, "the prompt contains '\(word.prefix(20))', which is not a token id",
          remedy: "token ids are from 0 to \(vocabulary - 1)")
      }
      tokens.append(token)
    }
    guard !tokens.isEmpty else {
      throw CommandError(.data, "the prompt contains no token id", remedy: "give one or more")
    }
    return tokens
  }

  func encode(bytes: [UInt8]) -> [Int32] { [] }

  func decodeBytes(_ ids: [Int32]) -> [UInt8] { ids.flatMap { Array("\($0) ".utf8) } }
}
