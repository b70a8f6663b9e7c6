/// A group of keys inside a section (a task, a reward).
protocol ConfigurationGroup: Sendable {
  init()
  static var fields: [ConfigurationField<Self>] { get }
  /// Keys without a default.
  static var requiredKeys: [String] { get }
  /// A required key that is not among `keys`; nil if none is missing.
  static func missingKey(_ keys: Set<String>) -> String?
  /// Sets the values that follow from the keys that were given.
  static func finish(_ group: inout Self, keys: Set<String>)
}

extension ConfigurationGroup {
  static func missingKey(_ keys: Set<String>) -> String? { requiredKeys.first { !keys.contains($0) } }

  static func finish(_ group: inout Self, keys: Set<String>) {}

  static func read(_ node: ConfigurationNode, name: String) throws(ConfigurationError) -> Self {
    guard case .mapping(let entries) = node.content else {
      throw ConfigurationError(node.location, "\(name) must be a group of keys, got \(node.shown)")
    }
    if let key = missingKey(Set(entries.map(\.key))) {
      throw ConfigurationError(node.location, "\(name) has no key '\(key)'", remedy: "add it")
    }
    var group = Self()
    for entry in entries {
      guard let field = fields.first(where: { $0.key == entry.key }) else {
        let nearest = KeyDistance.nearest(to: entry.key, among: fields.map(\.key)) ?? ""
        throw ConfigurationError(
          entry.location,
          "unknown key '\(ConfigurationText.shortened(entry.key))' in \(name)", remedy: "did you mean '\(nearest)'?")
      }
      try field.decode(entry.value, "\(name).\(field.key)", &group)
    }
    finish(&group, keys: Set(entries.map(\.key)))
    return group
  }

  static func write(_ group: Self) -> String {
    "{" + fields.map { "\($0.key): \($0.encode(group))" }.joined(separator: ", ") + "}"
  }
}
