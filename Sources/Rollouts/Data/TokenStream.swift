import Foundation
import Tensors

/// The concatenated tokens of documents, cut into windows for training and evaluation.
///
/// The stream is: end token, document 1, end token, document 2, …, end token. A window of `length` tokens predicts
/// length − 1, so windows advance by length − 1 and every token after the first is predicted once.
public struct TokenStream: Sendable {
  public let tokens: [Int32]
  /// The UTF-8 bytes of the documents.
  public let byteCount: Int

  /// - Parameter documents: at least one.
  public init(documents: [String], tokenizer: some Tokenizer) {
    precondition(!documents.isEmpty, "a token stream of no documents")
    var tokens = [tokenizer.endToken]
    var byteCount = 0
    for document in documents {
      byteCount += document.utf8.count
      tokens.append(contentsOf: tokenizer.encode(document))
      tokens.append(tokenizer.endToken)
    }
    self.tokens = tokens
    self.byteCount = byteCount
  }

  /// The window that sequence `sequence` of step `step` trains on: number w = step · sequencesPerStep + sequence of the
  /// visiting order. Each epoch visits windows in a new order (`CounterPermutation`) and from a new first token, or,
  /// without shuffling, in the order of the text and from its start.
  ///
  /// - Parameter length: the tokens of a window, at least 2. A shorter stream is its only window.
  public func window(
    seed: UInt64, step: Int, sequence: Int, sequencesPerStep: Int, length: Int, isShuffled: Bool = true
  ) -> ArraySlice<Int32> {
    precondition(length >= 2, "a window of \(length) tokens predicts nothing")
    precondition(step >= 0 && (0..<sequencesPerStep).contains(sequence), "sequence \(sequence) of \(sequencesPerStep)")
    let stride = length - 1
    let predictions = tokens.count - 1
    if predictions <= stride { return tokens[...] }
    let offsets = min(stride, predictions - stride + 1)
    let count = isShuffled ? max(1, (predictions - offsets + 1) / stride) : predictions / stride
    let (epoch, element) = (step * sequencesPerStep + sequence).quotientAndRemainder(dividingBy: count)
    if !isShuffled { return tokens[stride * element..<stride * element + length] }
    // The permutation uses positions below 2³¹.
    let word = Philox(seed: seed).words(stream: .shuffling, sequence: UInt64(epoch), position: .max, count: 1)[0]
    let offset = Int(word) % offsets
    let start = offset + stride * CounterPermutation(count: count, seed: seed, epoch: UInt64(epoch))[element]
    return tokens[start..<start + length]
  }

  /// The whole stream in windows of at most `length` tokens, each beginning with the last token of the previous window.
  public func consecutiveWindows(length: Int) -> [ArraySlice<Int32>] {
    precondition(length >= 2, "a window of \(length) tokens predicts nothing")
    return stride(from: 0, to: tokens.count - 1, by: length - 1).map { start in
      tokens[start..<min(start + length, tokens.count)]
    }
  }

  /// Bits per byte, from the sum of −ln p over tokens that decode to `bytes` bytes.
  public static func bitsPerByte(negativeLogLikelihood: Double, bytes: Int) -> Double {
    negativeLogLikelihood / log(2) / Double(max(1, bytes))
  }
}
