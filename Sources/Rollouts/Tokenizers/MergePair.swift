/// One line of a merges file: two neighbouring symbols, as bytes, that become one.
struct MergePair: Sendable {
  let left: [UInt8]
  let right: [UInt8]
  /// The line in its file, from 1, where it has one.
  let line: Int?

  /// The pair of two symbols written in GPT-2's characters, or nil where they are not.
  init?(left: some StringProtocol, right: some StringProtocol, line: Int? = nil) {
    guard let leftBytes = ByteSymbols.bytes(of: left), let rightBytes = ByteSymbols.bytes(of: right),
      !leftBytes.isEmpty, !rightBytes.isEmpty
    else { return nil }
    self.left = leftBytes
    self.right = rightBytes
    self.line = line
  }

  /// The pairs of a merges file: one a line, two symbols with a space between; a first line `#version…` is skipped.
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
          file: file, line: line, problem: "'\(symbols.prefix(40))' is no merge",
          remedy: "write two byte symbols with one space between")
      }
      pairs.append(pair)
    }
    if pairs.isEmpty {
      throw TokenizerError(file: file, line: nil, problem: "there are no merges", remedy: "check the path")
    }
    return pairs
  }
}
