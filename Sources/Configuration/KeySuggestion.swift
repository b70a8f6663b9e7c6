/// Which key of the configuration a name that does not exist most likely meant.
enum KeySuggestion {
  /// Full names of the keys that are called `name`, in the order of the sections.
  static func homes(of name: String) -> [String] {
    ConfigurationSection.all.filter { section in section.fields.contains { $0.key == name } }.map {
      "\($0.name).\(name)"
    }
  }

  /// 'rl.learning_rate' or 'pretrain.learning_rate': the keys of this name or, if there are none, those of the most similar
  /// name, in `section` if its names are as similar as any; nil if none is similar.
  static func text(for name: String, in section: ConfigurationSection? = nil) -> String? {
    var found = homes(of: name)
    if found.isEmpty {
      let own = section?.fields.map(\.key) ?? []
      let every = ConfigurationSection.all.flatMap { $0.fields.map(\.key) }
      // Ties go to the first, so to the section that was written.
      guard let nearest = KeyDistance.similar(to: name, among: own + every) else { return nil }
      found = section.flatMap { own.contains(nearest) ? ["\($0.name).\(nearest)"] : nil } ?? homes(of: nearest)
    }
    return found.map { "'\($0)'" }.joined(separator: " or ")
  }
}
