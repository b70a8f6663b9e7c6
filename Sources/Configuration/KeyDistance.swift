/// Finds the valid key that is closest to a misspelt key.
package enum KeyDistance {
  /// The candidate with the smallest edit distance, the first of equals; nil without candidates.
  static func nearest(to key: String, among candidates: [String]) -> String? {
    let word = Array(key.prefix(80).lowercased())
    return candidates.min { edits(word, Array($0)) < edits(word, Array($1)) }
  }

  /// The nearest candidate if at most a third of its letters differ; nil otherwise.
  package static func similar(to key: String, among candidates: [String]) -> String? {
    nearest(to: key, among: candidates).flatMap { candidate in
      edits(Array(key.prefix(80).lowercased()), Array(candidate)) <= max(1, candidate.count / 3) ? candidate : nil
    }
  }

  /// The edit distance: insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
  package static func edits(_ a: [Character], _ b: [Character]) -> Int {
    var beforePrevious = [Int](repeating: 0, count: b.count + 1)
    var previous = Array(0...b.count)
    for i in a.indices {
      var current = [i + 1] + [Int](repeating: 0, count: b.count)
      for j in b.indices {
        let replaced = previous[j] + (a[i] == b[j] ? 0 : 1)
        current[j + 1] = min(previous[j + 1] + 1, current[j] + 1, replaced)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          current[j + 1] = min(current[j + 1], beforePrevious[j - 1] + 1)
        }
      }
      (beforePrevious, previous) = (previous, current)
    }
    return previous[b.count]
  }
}
