import Yams

/// Rejects YAML that would take the parser too long.
///
/// The parser compares all keys of a group by their whole contents. If keys are lists of aliases of lists of aliases, a few
/// hundred bytes expand beyond any limit. So a key must not contain an alias, and keys must not be nested deeply.
enum YAMLLimits {
  /// Maximum nesting of brackets, and maximum number of keys that begin with '?'. A configuration needs three brackets.
  static let largestDepth = 16
  /// Replaces '*' in the text that is checked, so that the parser expands no aliases.
  private static let star = "\u{E000}"

  /// Why the text is rejected; nil if it is accepted.
  ///
  /// - Throws: the error of the parser if the text is not YAML.
  static func problem(of yaml: String) throws -> String? {
    if nesting(of: yaml) > largestDepth { return "nests brackets or keys deeper than \(largestDepth) levels" }
    guard yaml.utf8.contains(UInt8(ascii: "&")), yaml.utf8.contains(UInt8(ascii: "*")) else { return nil }
    let plain = yaml.split(separator: "*", omittingEmptySubsequences: false).joined(separator: star)
    guard let root = try Parser(yaml: plain, encoding: .utf8).singleRoot() else { return nil }
    return hasAlias(root, isKey: false) ? "has an alias (*name) in a key; write the key out" : nil
  }

  /// Whether a node contains an alias within a key. If `isKey`, the node is part of a key.
  private static func hasAlias(_ node: Node, isKey: Bool) -> Bool {
    switch node {
    case .scalar(let scalar): isKey && (scalar.style == .plain || scalar.style == .any) && scalar.string.hasPrefix(star)
    case .sequence(let items): items.contains { hasAlias($0, isKey: isKey) }
    case .mapping(let pairs): pairs.contains { hasAlias($0.key, isKey: true) || hasAlias($0.value, isKey: isKey) }
    case .alias: isKey
    }
  }

  /// The maximum of the bracket depth and the number of '?' that begin a key. Characters in quotes count, too.
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
