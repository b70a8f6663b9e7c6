/// Reads a tree of nodes into a configuration, then checks the rules that involve several keys.
enum ConfigurationReader {
  static func read(_ root: ConfigurationNode, file: String) throws(ConfigurationError) -> RunConfiguration {
    var configuration = RunConfiguration()
    guard case .mapping(let groups) = root.content else {
      throw ConfigurationError(root.location, "must contain sections such as 'model:' and 'rl:', got \(root.shown)")
    }
    var places: [String: ConfigurationLocation] = [:]
    var values: [String: ConfigurationNode] = [:]
    for group in groups {
      guard let section = ConfigurationSection.all.first(where: { $0.name == group.key }) else {
        throw unknownSection(group)
      }
      places[section.name] = group.location
      for entry in try entries(of: group) {
        guard section.fields.contains(where: { $0.key == entry.key }) else {
          throw unknownKey(entry, section: section)
        }
        places["\(section.name).\(entry.key)"] = entry.location
        values["\(section.name).\(entry.key)"] = entry.value
      }
    }
    for section in ConfigurationSection.all {
      for field in section.fields {
        let name = "\(section.name).\(field.key)"
        if let value = values[name] {
          try field.decode(value, name, &configuration)
        } else {
          field.derive?(&configuration)
        }
      }
    }
    let dataKeys = values.keys.filter { $0.hasPrefix("data.") }.map { String($0.dropFirst("data.".count)) }
    configuration.data.recognizeFirstVersion(keys: Set(dataKeys))
    if let place = places["rl.clip_epsilon"], let low = places["rl.clip_epsilon_low"],
      places["rl.clip_epsilon_high"] != nil, let text = values["rl.clip_epsilon"]?.plainText, let both = Double(text),
      both != configuration.objective.clipEpsilonLow, both != configuration.objective.clipEpsilonHigh
    {
      throw ConfigurationError(
        place,
        "rl.clip_epsilon \(both) has no effect beside rl.clip_epsilon_low \(configuration.objective.clipEpsilonLow) and "
          + "rl.clip_epsilon_high \(configuration.objective.clipEpsilonHigh) (\(low))",
        remedy: "remove rl.clip_epsilon or the two others")
    }
    if let issue = configuration.firstIssue() {
      let section = String(issue.key.prefix { $0 != "." })
      let location = places[issue.key] ?? places[section] ?? ConfigurationLocation(source: file)
      throw ConfigurationError(location, "\(issue.key) \(issue.rule)")
    }
    return configuration
  }

  private static func entries(
    of group: ConfigurationNode.Entry
  ) throws(ConfigurationError) -> [ConfigurationNode.Entry] {
    if group.value.isNull { return [] }
    guard case .mapping(let entries) = group.value.content else {
      throw ConfigurationError(
        group.location, "section '\(group.key)' must contain keys, got \(group.value.shown)")
    }
    return entries
  }

  private static func unknownSection(_ group: ConfigurationNode.Entry) -> ConfigurationError {
    let shown = ConfigurationText.shortened(group.key)
    let homes = KeySuggestion.homes(of: group.key)
    if homes.count == 1, let section = homes[0].split(separator: ".").first {
      return ConfigurationError(
        group.location, "key '\(shown)' belongs in section '\(section)'", remedy: "move it there")
    }
    if let keys = homes.isEmpty ? nil : KeySuggestion.text(for: group.key) {
      return ConfigurationError(
        group.location, "key '\(shown)' is outside all sections", remedy: "did you mean \(keys)?")
    }
    let names = ConfigurationSection.all.map(\.name)
    if case .scalar = group.value.content, KeyDistance.similar(to: group.key, among: names) == nil,
      let keys = KeySuggestion.text(for: group.key)
    {
      return ConfigurationError(group.location, "unknown section '\(shown)'", remedy: "did you mean \(keys)?")
    }
    let nearest = KeyDistance.nearest(to: group.key, among: names) ?? ""
    return ConfigurationError(group.location, "unknown section '\(shown)'", remedy: "did you mean '\(nearest)'?")
  }

  private static func unknownKey(
    _ entry: ConfigurationNode.Entry, section: ConfigurationSection
  ) -> ConfigurationError {
    let shown = "\(section.name).\(ConfigurationText.shortened(entry.key))"
    let nearest = KeyDistance.nearest(to: entry.key, among: section.fields.map(\.key)) ?? ""
    let suggestion = KeySuggestion.text(for: entry.key, in: section) ?? "'\(section.name).\(nearest)'"
    return ConfigurationError(entry.location, "unknown key '\(shown)'", remedy: "did you mean \(suggestion)?")
  }
}
