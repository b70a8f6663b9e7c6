/// The divisions of texts into words that byte-pair tokenizers of published models use.
enum WordDivision: Sendable {
  case gpt2, digits, cl100k, qwen, qwenMarks, o200k

  /// The division that the pattern of a `Split` pre-tokenizer gives, by the pattern's exact text.
  static let patterns: [String: WordDivision] = [
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"# + symbolsAndSpace: .cl100k,
    contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + symbolsAndSpace: .qwen,
    contraction + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
      .qwenMarks,
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"# + contraction
      + #"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"# + contraction
      + #"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#: .o200k,
  ]

  private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let symbolsAndSpace = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
}
