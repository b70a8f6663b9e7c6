import Yams

/// A parsed YAML value with its location. Scalars remain text until the type of their key reads them.
package struct ConfigurationNode {
  /// A key of a mapping, with its location and value.
  package struct Entry {
    package let key: String
    package let location: ConfigurationLocation
    package var value: ConfigurationNode
  }

  package enum Content {
    /// `isPlain` is false for quoted and block text, which is never a number, a Boolean or null.
    case scalar(String, isPlain: Bool)
    case list([ConfigurationNode])
    case mapping([Entry])
  }

  package let location: ConfigurationLocation
  package var content: Content

  /// Whether the value is `null`, `~` or empty.
  package var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The text of a plain scalar that is not null.
  var plainText: String? {
    guard case .scalar(let text, isPlain: true) = content, !isNull else { return nil }
    return text
  }

  /// The text of any scalar that is not null.
  var text: String? {
    guard case .scalar(let text, _) = content, !isNull else { return nil }
    return text
  }

  /// The value in one short line, for error messages.
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

  /// Sets the value at a path of keys, creating groups where needed.
  mutating func set(_ path: ArraySlice<String>, to value: ConfigurationNode) throws(ConfigurationError) {
    guard let key = path.first else {
      self = value
      return
    }
    if isNull { content = .mapping([]) }
    guard case .mapping(var entries) = content else {
      throw ConfigurationError(
        value.location, "'\(key)' cannot be set inside \(shown)", remedy: "set the whole value instead")
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
  /// The maximum number of values, which bounds the expansion of nested aliases.
  private static let largestCount = 100_000
  /// The maximum nesting of lists and groups.
  private static let largestDepth = 64

  /// Parses one YAML document; nil if it holds nothing but comments.
  ///
  /// - Parameter place: turns a line number into a location.
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
      throw ConfigurationError(
        place(nil), "has more than \(largestCount) values", remedy: "a configuration has a few hundred")
    }
    guard depth <= largestDepth else {
      throw ConfigurationError(location, "lists and groups are nested deeper than \(largestDepth) levels")
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
      throw ConfigurationError(location, "refers to an anchor that contains itself", remedy: "write the value out")
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
        place(context.mark.line), "key '\(key)' occurs more than once in one group", remedy: "keep one")
    default:
      return ConfigurationError(place(nil), "is not valid YAML: \(ConfigurationText.shortened("\(error)"))")
    }
  }
}
