/// The tokens and merges of a byte-level byte-pair tokenizer.
///
/// Invariants: every merge joins two tokens into a third; every byte of printable ASCII, of white space in it, and of the
/// continuation of UTF-8 has a token.
struct BytePairVocabulary: Sendable {
  let size: Int
  let endToken: Int32
  /// The id of each byte's own token; `MergeWorkspace.noToken` for a byte without a token.
  let byteIds: [Int32]
  let merges: MergeTable
  /// Names of special tokens.
  private(set) var specialTokens: [String: Int32] = [:]
  /// The ids of ordinary tokens by their bytes, if a word that is a token is not merged (`ignore_merges`).
  private(set) var wholeWords: [[UInt8]: Int32] = [:]
  /// The concatenated bytes of the tokens, token i at starts[i] ..< starts[i + 1]; special tokens have none.
  private let allBytes: [UInt8]
  private let starts: [Int]
  private let unused: Set<Int32>

  static let endTokenText = "<|endoftext|>"

  /// The bytes of a token; nil if the id is not in the vocabulary.
  func bytes(of id: Int32) -> ArraySlice<UInt8>? {
    guard id >= 0, Int(id) < size, unused.isEmpty || !unused.contains(id) else { return nil }
    return allBytes[starts[Int(id)]..<starts[Int(id) + 1]]
  }

  /// A vocabulary from only the text of a merges file: 256 byte symbols in GPT-2's order, the merges in order, the end
  /// token.
  init(merges text: String, file: String) throws(TokenizerError) {
    let pairs = try MergePair.parse(text, file: file)
    var tokens = ByteSymbols.order.map { Token.ordinary([$0]) }
    for pair in pairs { tokens.append(.ordinary(pair.left + pair.right)) }
    let endToken = Int32(tokens.count)
    try self.init(tokens: tokens + [.special], endToken: endToken, pairs: pairs, file: file)
    specialTokens = [Self.endTokenText: endToken]
  }

  /// What an id stands for.
  enum Token {
    /// Bytes that merges produce.
    case ordinary([UInt8])
    /// Bytes that are found in texts as a whole.
    case added([UInt8])
    /// Nothing in texts.
    case special
    /// No token has the id.
    case unused
  }

  /// A vocabulary of `tokens` by id.
  init(tokens: [Token], endToken: Int32, pairs: [MergePair], ignoresMerges: Bool = false, file: String)
    throws(TokenizerError)
  {
    var idOfToken: [[UInt8]: Int32] = [:]
    idOfToken.reserveCapacity(tokens.count)
    var allBytes: [UInt8] = []
    var starts = [0]
    var unused: Set<Int32> = []
    for (index, token) in tokens.enumerated() {
      let id = Int32(index)
      switch token {
      case .special: break
      case .unused: unused.insert(id)
      case .added(let bytes): allBytes.append(contentsOf: bytes)
      case .ordinary(let bytes):
        if let other = idOfToken.updateValue(id, forKey: bytes) {
          throw TokenizerError(
            file: file, line: nil, problem: "tokens \(other) and \(id) are the same bytes", remedy: "remove one of them"
          )
        }
        allBytes.append(contentsOf: bytes)
      }
      starts.append(allBytes.count)
    }
    byteIds = try Self.byteIds(idOfToken, file: file)
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
    self.size = tokens.count
    self.endToken = endToken
    self.merges = merges
    self.allBytes = allBytes
    self.starts = starts
    self.unused = unused
    if ignoresMerges { wholeWords = idOfToken }
  }

  /// The id of each byte. A vocabulary trained without a complete alphabet, for example SmolLM's, lacks some bytes that
  /// texts hardly contain; the `tokenizers` library leaves them out when it encodes.
  private static func byteIds(_ ids: [[UInt8]: Int32], file: String) throws(TokenizerError) -> [Int32] {
    var byteIds: [Int32] = []
    for byte in UInt8.min...UInt8.max {
      let isNeeded = (0x20..<0x7F).contains(byte) || (0x80..<0xC0).contains(byte) || [0x09, 0x0A, 0x0D].contains(byte)
      if ids[[byte]] == nil, isNeeded {
        throw TokenizerError(
          file: file, line: nil, problem: "byte \(byte) has no token",
          remedy: "use a byte-level vocabulary, which has all bytes")
      }
      byteIds.append(ids[[byte]] ?? MergeWorkspace.noToken)
    }
    return byteIds
  }

  /// Sets the names of special tokens.
  mutating func name(specialTokens names: [String: Int32]) { specialTokens = names }
}
