/// One line of a merges file: two adjacent symbols, as bytes, that become one.
struct MergePair: Sendable {
  let left: [UInt8]
  let right: [UInt8]
  /// The line in the file, from 1, if there is one.
  let line: Int?

  /// The pair of two symbols in GPT-2's characters; nil if they are not in those.
  init?(left: some StringProtocol, right: some StringProtocol, line: Int? = nil) {
    guard let leftBytes = ByteSymbols.bytes(of: left), let rightBytes = ByteSymbols.bytes(of: right),
      !leftBytes.isEmpty, !rightBytes.isEmpty
    else { return nil }
    self.left = leftBytes
    self.right = rightBytes
    self.line = line
  }

  /// The pairs of a merges file: one per line, two symbols with a space between; a first line `#version…` is skipped.
  static func parse(_ text: String, file: String) throws(TokenizerError) -> [MergePair] {
    var pairs: [MergePair] = []
    var line = 0
    for content in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      line += 1
      var symbols = Substring(content)
      if symbols.utf8.last == UInt8(ascii: "\r") { symbols = Substring(content.dropLast()) }
      if symbols.isEmpty || (line == 1 && symbols.hasPrefix("#version")) { continue }
      let parts = symbols.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map(Substring.init)
      guard parts.count == 2, let pair = MergePair(left: parts[0], right: parts[1], line: line) else {
        throw TokenizerError(
          file: file, line: line, problem: "'\(symbols.prefix(40))' is not a merge",
          remedy: "write two byte symbols with one space between")
      }
      pairs.append(pair)
    }
    if pairs.isEmpty {
      throw TokenizerError(file: file, line: nil, problem: "the file has no merges", remedy: "check the path")
    }
    return pairs
  }
}
