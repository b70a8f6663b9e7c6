extension RunConfiguration {
  /// The complete configuration as YAML: every key with its value. It parses to an equal configuration.
  public func yaml() -> String {
    ConfigurationSection.all.map { section in
      let lines = section.fields.map { "  \($0.key): \($0.encode(self))\n" }.joined()
      return "\(section.name):\n\(lines)"
    }.joined(separator: "\n")
  }

  /// The reference of all keys in Markdown: one table per section with type, default and meaning.
  public static var reference: String {
    let defaults = RunConfiguration()
    return ConfigurationSection.all.map { section in
      let rows = section.fields.map { field in
        let standard = field.derivation ?? "`\(field.encode(defaults))`"
        return "| `\(field.key)` | \(field.kind) | \(standard) | \(field.documentation) |\n"
      }.joined()
      return "## `\(section.name)`\n\n\(section.documentation)\n\n"
        + "| key | value | default | meaning |\n|---|---|---|---|\n\(rows)"
    }.joined(separator: "\n")
  }
}
