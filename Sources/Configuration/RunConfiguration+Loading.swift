import Foundation

extension RunConfiguration {
  /// The maximum size of a configuration file in bytes.
  private static let largestFile = 1 << 20

  /// Reads a YAML file, then applies overrides of the form `section.key=value` in order.
  ///
  /// - Throws: `ConfigurationError` with the file and line, or the override.
  public static func load(path: String, overrides: [String] = []) throws(ConfigurationError) -> RunConfiguration {
    let location = ConfigurationLocation(source: path)
    let bytes: Data
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      bytes = try handle.read(upToCount: largestFile + 1) ?? Data()
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw ConfigurationError(
        location, exists ? "cannot be read" : "no such file",
        remedy: exists
          ? "check that it is a file and its permissions"
          : "give the path of a YAML configuration such as configs/quickstart.yaml")
    }
    guard bytes.count <= largestFile else {
      throw ConfigurationError(location, "is larger than 1 MiB", remedy: "a configuration is a few kilobytes of YAML")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ConfigurationError(location, "is not UTF-8 text", remedy: "give a YAML configuration")
    }
    return try parse(yaml: text, file: path, overrides: overrides)
  }

  /// Parses YAML text; messages refer to it as `file`.
  ///
  /// - Throws: as `load`.
  public static func parse(
    yaml: String, file: String, overrides: [String] = []
  ) throws(ConfigurationError) -> RunConfiguration {
    // Some editors write a byte order mark, which must not become part of the first key.
    let yaml = yaml.first == "\u{FEFF}" ? String(yaml.dropFirst()) : yaml
    let place = { (line: Int?) in ConfigurationLocation(source: file, line: line) }
    guard var root = try ConfigurationNode.parse(yaml, place: place) else {
      throw ConfigurationError(place(nil), "is empty", remedy: "start from configs/quickstart.yaml")
    }
    for override in overrides { try apply(override, to: &root) }
    return try ConfigurationReader.read(root, file: file)
  }

  package static func apply(_ override: String, to root: inout ConfigurationNode) throws(ConfigurationError) {
    let location = ConfigurationLocation(source: "--set \(ConfigurationText.shortened(override))")
    let parts = override.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, path.count >= 2, !path.contains("") else {
      let isSection = ConfigurationSection.all.contains { $0.name == path[0] }
      if path.count == 1, !isSection, let keys = KeySuggestion.text(for: path[0]) {
        throw ConfigurationError(location, "must have the form section.key=value", remedy: "did you mean \(keys)?")
      }
      throw ConfigurationError(location, "must have the form section.key=value, for example rl.batch_size=8")
    }
    let value = try ConfigurationNode.parse(String(parts[1])) { _ in location }
    let absent = ConfigurationNode(location: location, content: .scalar("", isPlain: true))
    try root.set(path[...], to: value ?? absent)
  }
}
