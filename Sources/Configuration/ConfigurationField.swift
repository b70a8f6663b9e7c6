/// One key of the configuration: the single source for reading it, overriding it, writing it and documenting it.
package struct ConfigurationField<Root: Sendable>: Sendable {
  /// The key as YAML spells it.
  package let key: String
  /// What the value must be, as the reference and the error messages say it.
  let kind: String
  /// One line: meaning and unit.
  let documentation: String
  /// Reads a node into the root; the second argument is the full key for messages (`rl.batch_size`).
  package let decode: @Sendable (ConfigurationNode, String, inout Root) throws(ConfigurationError) -> Void
  /// The value as YAML text on one line.
  package let encode: @Sendable (Root) -> String
  /// Sets the value from keys read earlier, when this one is absent.
  package private(set) var derive: (@Sendable (inout Root) -> Void)?
  /// The rule behind `derive`, for the reference.
  private(set) var derivation: String?

  /// The same field with a default that follows other keys.
  func defaulting(to rule: String, _ derive: @escaping @Sendable (inout Root) -> Void) -> Self {
    var copy = self
    copy.derive = derive
    copy.derivation = rule
    return copy
  }

  /// A field from a way to read a value and a way to write it.
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

/// What a node gave: the value, or the rule that it breaks ("a whole number").
enum ValueReading<Value> {
  case value(Value)
  case mismatch(String)
}

extension ConfigurationNode {
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
}
