/// Names of special tokens in the text of a form.
enum SpecialTokens {
  /// The leftmost special token; of several at one position, the longest.
  static func first(in text: Substring, _ special: [String: Int32]) -> (Range<Substring.Index>, Int32)? {
    var found: (range: Range<Substring.Index>, id: Int32)?
    for (name, id) in special {
      guard let range = text.firstRange(of: name) else { continue }
      if let best = found?.range,
        range.lowerBound > best.lowerBound
          || (range.lowerBound == best.lowerBound && range.upperBound < best.upperBound)
      {
        continue
      }
      found = (range, id)
    }
    return found
  }

  /// The parts of a text that are written like a special token: `<|…|>`.
  static func names(in text: String) -> [String] {
    var names: [String] = []
    var rest = text[...]
    while let start = rest.firstRange(of: "<|") {
      rest = rest[start.lowerBound...]
      guard let end = rest.firstRange(of: "|>") else { break }
      names.append(String(rest[..<end.upperBound]))
      rest = rest[end.upperBound...]
    }
    return names
  }
}
