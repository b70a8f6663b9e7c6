import Files

extension ConfigurationField {
  /// The path of a file or directory.
  static func path(
    _ key: String, _ path: WritableKeyPath<Root, String> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "path", documentation) { node in
      guard let text = node.text, !text.isEmpty else { return .mismatch("a path") }
      return rule(text).map(ValueReading.mismatch) ?? .value(text)
    } write: {
      ConfigurationText.quoted($0)
    }
  }

  /// The path of a file or directory, or `null`.
  static func optionalPath(
    _ key: String, _ path: WritableKeyPath<Root, String?> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "path or null", documentation) { node in
      if node.isNull { return .value(nil) }
      guard let text = node.text, !text.isEmpty else { return .mismatch("a path or null") }
      return rule(text).map(ValueReading.mismatch) ?? .value(text)
    } write: {
      $0.map(ConfigurationText.quoted) ?? "null"
    }
  }

  /// What a path must be and why `text` is not one; nil if `text` can be a path.
  private static func rule(_ text: String) -> String? { Path(text).problem.map { "a path; this one \($0)" } }
}
