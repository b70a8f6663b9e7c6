import Foundation

extension RunConfiguration {
  /// One key's value as other programs want it: text without quotes and escapes, nothing for null; lists and groups of keys
  /// as YAML on one line.
  ///
  /// - Throws: `ConfigurationError` where there is no such key, or the value has a NUL, which other programs cannot take.
  public func value(of name: String) throws(ConfigurationError) -> String {
    let location = ConfigurationLocation(source: "--get \(ConfigurationText.shortened(name))")
    let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, let section = ConfigurationSection.all.first(where: { $0.name == parts[0] }),
      let field = section.fields.first(where: { $0.key == parts[1] })
    else {
      let names = ConfigurationSection.all.flatMap { section in section.fields.map { "\(section.name).\($0.key)" } }
      let nearest = KeyDistance.nearest(to: name, among: names) ?? ""
      throw ConfigurationError(location, "there is no such key; did you mean '\(nearest)'?")
    }
    let yaml = field.encode(self)
    guard let node = try ConfigurationNode.parse(yaml, place: { _ in location }), !node.isNull else { return "" }
    guard case .scalar(let text, _) = node.content else { return yaml }
    guard !text.contains("\0") else { throw ConfigurationError(location, "the value has a NUL character; remove it") }
    return text
  }

  /// The files that a run reads, as configured: data, tokenizer, weights, and those that the commands of rewards name.
  public var inputFiles: [String] {
    let words = data.rewards.flatMap(\.command).filter { word in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: word, isDirectory: &isFolder) && !isFolder.boolValue
    }
    let files = [
      data.prompts, data.text, data.trajectories, data.tokenizerFile, data.mergesFile, checkpoint.weights,
    ]
    return files.compactMap { $0 } + words
  }
}
