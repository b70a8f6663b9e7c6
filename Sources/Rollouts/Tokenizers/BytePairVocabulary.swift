/// The tokens and merges of a byte-level byte-pair tokenizer.
///
/// Invariants: every byte has a token; every merge joins two tokens into a third; ids are 0 ..< size without holes.
struct BytePairVocabulary: Sendable {
  let size: Int
  let endToken: Int32
  /// The id of each byte's own token.
  let byteIds: [Int32]
  let merges: MergeTable
  /// Names of special tokens.
  private(set) var specialTokens: [String: Int32] = [:]
  /// The concatenated bytes of the tokens, token i at starts[i] ..< starts[i + 1]; special tokens have none.
  private let allBytes: [UInt8]
  private let starts: [Int]

  static let endTokenText = "<|endoftext|>"

  /// The bytes of a token; nil if the id is not in the vocabulary.
  func bytes(of id: Int32) -> ArraySlice<UInt8>? {
    guard id >= 0, Int(id) < size else { return nil }
    return allBytes[starts[Int(id)]..<starts[Int(id) + 1]]
  }

  /// A vocabulary from only the text of a merges file: 256 byte symbols in GPT-2's order, the merges in order, the end
  /// token.
  init(merges text: String, file: String) throws(TokenizerError) {
    let pairs = try MergePair.parse(text, file: file)
    var tokens = ByteSymbols.order.map { [$0] }
    for pair in pairs { tokens.append(pair.left + pair.right) }
    try self.init(
      tokens: tokens, endToken: Int32(tokens.count), special: [Int32(tokens.count)], pairs: pairs, file: file)
    specialTokens = [Self.endTokenText: endToken]
  }

  /// A vocabulary of `tokens` (id → bytes) and the special ids above them.
  init(tokens: [[UInt8]], endToken: Int32, special: Set<Int32>, pairs: [MergePair], file: String) throws(TokenizerError)
  {
    var idOfToken: [[UInt8]: Int32] = [:]
    idOfToken.reserveCapacity(tokens.count)
    var allBytes: [UInt8] = []
    var starts = [0]
    let size = max(tokens.count, Int(special.max() ?? 0) + 1)
    for id in 0..<Int32(size) {
      if Int(id) < tokens.count, !special.contains(id) {
        let bytes = tokens[Int(id)]
        if let other = idOfToken.updateValue(id, forKey: bytes) {
          throw TokenizerError(
            file: file, line: nil, problem: "tokens \(other) and \(id) are the same bytes", remedy: "remove one of them"
          )
        }
        allBytes.append(contentsOf: bytes)
      }
      starts.append(allBytes.count)
    }
    var byteIds: [Int32] = []
    for byte in UInt8.min...UInt8.max {
      guard let id = idOfToken[[byte]] else {
        throw TokenizerError(
          file: file, line: nil, problem: "byte \(byte) has no token",
          remedy: "use a byte-level vocabulary, which has all 256 bytes")
      }
      byteIds.append(id)
    }
    var merges = MergeTable(capacity: pairs.count)
    for (rank, pair) in pairs.enumerated() {
      guard let left = idOfToken[pair.left], let right = idOfToken[pair.right],
        let result = idOfToken[pair.left + pair.right]
      else {
        throw TokenizerError(
          file: file, line: pair.line, problem: "merge \(rank) joins or produces a token that the vocabulary lacks",
          remedy: "use the merges that belong to this vocabulary")
      }
      if !merges.insert(left: left, right: right, merge: .init(rank: UInt32(rank), result: result)) {
        throw TokenizerError(
          file: file, line: pair.line, problem: "merge \(rank) repeats an earlier pair", remedy: "remove the repetition"
        )
      }
    }
    self.size = size
    self.endToken = endToken
    self.byteIds = byteIds
    self.merges = merges
    self.allBytes = allBytes
    self.starts = starts
  }

  /// Sets the names of special tokens.
  mutating func name(specialTokens names: [String: Int32]) { specialTokens = names }
}
