import Yams

/// A parsed YAML value that knows where it was written; scalars keep their text, so each key's type reads them.
package struct ConfigurationNode {
  /// A key of a mapping with its place and value.
  package struct Entry {
    package let key: String
    package let location: ConfigurationLocation
    package var value: ConfigurationNode
  }

  package enum Content {
    /// `isPlain` is false for quoted and block text, which is never a number, a truth value or null.
    case scalar(String, isPlain: Bool)
    case list([ConfigurationNode])
    case mapping([Entry])
  }

  package let location: ConfigurationLocation
  package var content: Content

  /// Whether the value is absent: `null`, `~` or nothing after the colon.
  package var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The value as an error message shows it: one short line.
  package var shown: String {
    switch content {
    case .scalar(_, _) where isNull: "nothing"
    case .scalar(let text, let isPlain):
      isPlain
        ? "'\(ConfigurationText.shortened(text))'"
        : "the quoted text '\(ConfigurationText.shortened(text))'"
    case .list: "a list"
    case .mapping: "a group of keys"
    }
  }

  /// Replaces or adds the value at a path of keys, creating groups on the way.
  mutating func set(_ path: ArraySlice<String>, to value: ConfigurationNode) throws(ConfigurationError) {
    guard let key = path.first else {
      self = value
      return
    }
    if isNull { content = .mapping([]) }
    guard case .mapping(var entries) = content else {
      throw ConfigurationError(
        value.location, "'\(key)' has no place inside \(shown); set the whole value instead")
    }
    if let index = entries.firstIndex(where: { $0.key == key }) {
      try entries[index].value.set(path.dropFirst(), to: value)
    } else {
      var child = ConfigurationNode(location: value.location, content: .mapping([]))
      try child.set(path.dropFirst(), to: value)
      entries.append(Entry(key: key, location: value.location, value: child))
    }
    content = .mapping(entries)
  }
}

extension ConfigurationNode {
  /// Values in one configuration at most, so that aliases of aliases cannot grow without end.
  private static let largestCount = 100_000
  /// Lists and groups inside one another, at most.
  private static let largestDepth = 64

  /// Parses one YAML document; `nil` where it holds nothing but comments.
  ///
  /// `place` turns a line number into a location.
  package static func parse(
    _ yaml: String, place: (Int?) -> ConfigurationLocation
  ) throws(ConfigurationError) -> ConfigurationNode? {
    guard yaml.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return nil }
    let root: Node?
    do {
      if let problem = try YAMLLimits.problem(of: yaml) { throw ConfigurationError(place(nil), problem) }
      root = try Parser(yaml: yaml, encoding: .utf8).singleRoot()
    } catch let error as ConfigurationError {
      throw error
    } catch let error as YamlError {
      throw describe(error, yaml: yaml, place: place)
    } catch {
      throw ConfigurationError(place(nil), "is not valid YAML: \(error)")
    }
    guard let root else { return nil }
    var count = 0
    return try convert(root, place: place, depth: 0, count: &count)
  }

  private static func convert(
    _ node: Node, place: (Int?) -> ConfigurationLocation, depth: Int, count: inout Int
  ) throws(ConfigurationError) -> ConfigurationNode {
    let location = place(node.mark?.line)
    count += 1
    guard count <= largestCount else {
      throw ConfigurationError(place(nil), "holds more than \(largestCount) values; a configuration has a few hundred")
    }
    guard depth <= largestDepth else {
      throw ConfigurationError(location, "is inside more than \(largestDepth) lists and groups")
    }
    switch node {
    case .scalar(let scalar):
      return ConfigurationNode(
        location: location, content: .scalar(scalar.string, isPlain: scalar.style == .plain || scalar.style == .any))
    case .sequence(let sequence):
      var items: [ConfigurationNode] = []
      for item in sequence { items.append(try convert(item, place: place, depth: depth + 1, count: &count)) }
      return ConfigurationNode(location: location, content: .list(items))
    case .mapping(let mapping):
      var entries: [Entry] = []
      for (key, value) in mapping {
        let keyLocation = place(key.mark?.line)
        guard case .scalar(let name) = key else {
          throw ConfigurationError(keyLocation, "a key must be a word, not a list or a group of keys")
        }
        let converted = try convert(value, place: place, depth: depth + 1, count: &count)
        entries.append(Entry(key: name.string, location: keyLocation, value: converted))
      }
      return ConfigurationNode(location: location, content: .mapping(entries))
    case .alias:
      throw ConfigurationError(location, "refers to an anchor that holds itself; write the value out")
    }
  }

  private static func describe(
    _ error: YamlError, yaml: String, place: (Int?) -> ConfigurationLocation
  ) -> ConfigurationError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return ConfigurationError(place(mark.line), "is not valid YAML: \(problem)")
    case .reader(let problem, let offset, _, _):
      let line = offset.map { yaml.prefix($0).count(where: \.isNewline) + 1 }
      return ConfigurationError(place(line), "is not valid YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      let key = duplicates.min().map(ConfigurationText.shortened) ?? ""
      return ConfigurationError(
        place(context.mark.line), "key '\(key)' is given more than once in one group; keep one")
    default:
      return ConfigurationError(place(nil), "is not valid YAML: \(ConfigurationText.shortened("\(error)"))")
    }
  }
}
