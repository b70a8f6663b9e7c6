import Foundation

extension RunConfiguration {
  /// The value of one key for other programs: text without quotes and escapes, an empty string for null, and lists and
  /// groups of keys as YAML on one line.
  ///
  /// - Throws: `ConfigurationError` if the key does not exist, or the value contains NUL, which cannot be an argument.
  public func value(of name: String) throws(ConfigurationError) -> String {
    let location = ConfigurationLocation(source: "--get \(ConfigurationText.shortened(name))")
    let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, let section = ConfigurationSection.all.first(where: { $0.name == parts[0] }),
      let field = section.fields.first(where: { $0.key == parts[1] })
    else {
      let names = ConfigurationSection.all.flatMap { section in section.fields.map { "\(section.name).\($0.key)" } }
      let nearest = KeyDistance.nearest(to: name, among: names) ?? ""
      throw ConfigurationError(location, "there is no such key", remedy: "did you mean '\(nearest)'?")
    }
    let yaml = field.encode(self)
    guard let node = try ConfigurationNode.parse(yaml, place: { _ in location }), !node.isNull else { return "" }
    guard case .scalar(let text, _) = node.content else { return yaml }
    guard !text.contains("\0") else {
      throw ConfigurationError(location, "the value contains a NUL character", remedy: "remove it")
    }
    return text
  }

  /// The files that a run reads, as configured: data, tokenizer, weights, and files in the commands of rewards.
  public var inputFiles: [String] {
    let rewards = data.rewards + allSources.flatMap(\.source.rewards)
    let words = rewards.flatMap(\.command).filter { word in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: word, isDirectory: &isFolder) && !isFolder.boolValue
    }
    let files = [
      data.prompts, data.text, data.trajectories, data.tokenizerFile, data.mergesFile, checkpoint.weights,
    ]
    return files.compactMap { $0 } + allSources.compactMap(\.source.prompts) + words
  }
}
