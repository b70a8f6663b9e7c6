import Yams

/// Bounds what YAML can ask of its parser before it is parsed.
///
/// The parser compares the keys of a group with one another, and goes through all that a key holds: where keys are lists of
/// aliases of lists of aliases, a few hundred bytes are more than can be gone through. So an alias may not be part of a key, and
/// keys may not be nested deeply.
enum YAMLLimits {
  /// Brackets inside one another, and keys that begin with '?', at most. A configuration needs three brackets.
  static let largestDepth = 16
  /// Stands for '*' in the text that is looked at, so that it has no aliases.
  private static let star = "\u{E000}"

  /// What a text asks for that no configuration needs; nil: nothing.
  ///
  /// - Throws: what the parser throws where the text is not YAML.
  static func problem(of yaml: String) throws -> String? {
    if nesting(of: yaml) > largestDepth { return "has brackets or keys inside more than \(largestDepth) others" }
    guard yaml.utf8.contains(UInt8(ascii: "&")), yaml.utf8.contains(UInt8(ascii: "*")) else { return nil }
    let plain = yaml.split(separator: "*", omittingEmptySubsequences: false).joined(separator: star)
    guard let root = try Parser(yaml: plain, encoding: .utf8).singleRoot() else { return nil }
    return hasAlias(root, isKey: false) ? "has an alias (*name) in a key; write the key out" : nil
  }

  /// Whether a node has an alias in one of its keys, or as part of the key that it is.
  private static func hasAlias(_ node: Node, isKey: Bool) -> Bool {
    switch node {
    case .scalar(let scalar): isKey && (scalar.style == .plain || scalar.style == .any) && scalar.string.hasPrefix(star)
    case .sequence(let items): items.contains { hasAlias($0, isKey: isKey) }
    case .mapping(let pairs): pairs.contains { hasAlias($0.key, isKey: true) || hasAlias($0.value, isKey: isKey) }
    case .alias: isKey
    }
  }

  /// The depth of brackets, or the number of '?' that begin a key, whichever is larger. Those in quotes count, too.
  private static func nesting(of yaml: String) -> Int {
    var (depth, deepest, keys) = (0, 0, 0)
    var previous = UInt8(ascii: "\n")
    for byte in yaml.utf8 {
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
      case UInt8(ascii: "?") where previous <= 0x20 || previous == UInt8(ascii: ","): keys += 1
      default: break
      }
      previous = byte
    }
    return max(deepest, keys)
  }
}
