/// One key of the configuration. Reading, overriding, writing and documenting the key all use this description.
package struct ConfigurationField<Root: Sendable>: Sendable {
  /// The key as YAML spells it.
  package let key: String
  /// The type and range of the value, for the reference and error messages.
  let kind: String
  /// Meaning and unit, in one line.
  let documentation: String
  /// Reads a node into the root. The second argument is the full key for messages (`rl.batch_size`).
  package let decode: @Sendable (ConfigurationNode, String, inout Root) throws(ConfigurationError) -> Void
  /// The value as YAML text on one line.
  package let encode: @Sendable (Root) -> String
  /// Sets the value from earlier keys if this key is absent.
  package private(set) var derive: (@Sendable (inout Root) -> Void)?
  /// The formula of `derive`, for the reference.
  private(set) var derivation: String?

  /// This field with a default that depends on other keys.
  func defaulting(to rule: String, _ derive: @escaping @Sendable (inout Root) -> Void) -> Self {
    var copy = self
    copy.derive = derive
    copy.derivation = rule
    return copy
  }

  /// A field that `read` decodes and `write` encodes.
  static func field<Value: Sendable>(
    _ key: String, _ path: WritableKeyPath<Root, Value> & Sendable, kind: String, _ documentation: String,
    read: @escaping @Sendable (ConfigurationNode) -> ValueReading<Value>,
    write: @escaping @Sendable (Value) -> String
  ) -> Self {
    Self(
      key: key, kind: kind, documentation: documentation,
      decode: { (node, name, root) throws(ConfigurationError) in
        switch read(node) {
        case .value(let value): root[keyPath: path] = value
        case .mismatch(let rule): throw ConfigurationError(node.location, "\(name) must be \(rule), got \(node.shown)")
        }
      },
      encode: { write($0[keyPath: path]) })
  }
}

/// The result of reading a node: the value, or what the value must be ("a whole number").
enum ValueReading<Value> {
  case value(Value)
  case mismatch(String)
}
