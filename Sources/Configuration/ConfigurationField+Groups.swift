extension ConfigurationField {
  /// A group of keys or `null`.
  static func optionalGroup<Group: ConfigurationGroup>(
    _ key: String, _ path: WritableKeyPath<Root, Group?> & Sendable, _ documentation: String
  ) -> Self {
    Self(
      key: key, kind: "group of keys or null", documentation: documentation,
      decode: { (node, name, root) throws(ConfigurationError) in
        root[keyPath: path] = node.isNull ? nil : try Group.read(node, name: name)
      },
      encode: { $0[keyPath: path].map(Group.write) ?? "null" })
  }

  /// A list of groups of keys.
  static func groups<Group: ConfigurationGroup>(
    _ key: String, _ path: WritableKeyPath<Root, [Group]> & Sendable, _ documentation: String
  ) -> Self {
    Self(
      key: key, kind: "list of groups of keys", documentation: documentation,
      decode: { (node, name, root) throws(ConfigurationError) in
        guard case .list(let items) = node.content else {
          throw ConfigurationError(node.location, "\(name) must be a list, got \(node.shown)")
        }
        var groups: [Group] = []
        for (index, item) in items.enumerated() { groups.append(try Group.read(item, name: "\(name)[\(index)]")) }
        root[keyPath: path] = groups
      },
      encode: { "[" + $0[keyPath: path].map(Group.write).joined(separator: ", ") + "]" })
  }
}
