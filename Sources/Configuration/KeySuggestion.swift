/// Suggests keys of the configuration for a name that does not exist.
enum KeySuggestion {
  /// The full names of all keys called `name`, in the order of the sections.
  static func homes(of name: String) -> [String] {
    ConfigurationSection.all.filter { section in section.fields.contains { $0.key == name } }.map {
      "\($0.name).\(name)"
    }
  }

  /// The keys of this name, such as "'rl.learning_rate' or 'pretrain.learning_rate'"; if there are none, the keys of the
  /// most similar name, preferring `section` among equals; nil if no name is similar.
  static func text(for name: String, in section: ConfigurationSection? = nil) -> String? {
    var found = homes(of: name)
    if found.isEmpty {
      let own = section?.fields.map(\.key) ?? []
      let every = ConfigurationSection.all.flatMap { $0.fields.map(\.key) }
      // The first of equals wins, so the keys of `section` come first.
      guard let nearest = KeyDistance.similar(to: name, among: own + every) else { return nil }
      found = section.flatMap { own.contains(nearest) ? ["\($0.name).\(nearest)"] : nil } ?? homes(of: nearest)
    }
    return found.map { "'\($0)'" }.joined(separator: " or ")
  }
}
