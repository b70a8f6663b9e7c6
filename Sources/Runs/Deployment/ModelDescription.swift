import Configuration
import Exports
import Foundation
import Models

/// What using weights requires: sizes, number formats and tokenizer.
///
/// The source is a configuration (YAML, which includes JSON): the sections `model` and `precision` and the tokenizer's
/// keys of `data`; everything else is ignored. Packed models and exports store the description as JSON of this form,
/// and a tokenizer file by its path.
public struct ModelDescription: Sendable, Equatable {
  public var model: ModelConfiguration
  /// As configured, before `use_bitnet`.
  public var precision: PrecisionConfiguration
  public var tokenizer: TokenizerChoice

  public init(_ configuration: RunConfiguration) {
    model = configuration.model
    precision = configuration.precision
    tokenizer = configuration.data.tokenizerChoice
  }

  /// The sections and keys that a description consists of.
  private static let sections: [(name: String, fields: [ConfigurationField<RunConfiguration>], isComplete: Bool)] = [
    ("model", ConfigurationSection.model.fields, true),
    ("precision", ConfigurationSection.precision.fields, true),
    ("data", ConfigurationSection.data.fields.filter { TokenizerChoice.keys.contains($0.key) }, false),
  ]

  /// The text of a configuration file.
  ///
  /// - Throws: `ConfigurationError` with the file.
  static func text(of path: String) throws(ConfigurationError) -> String {
    do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw ConfigurationError(
        ConfigurationLocation(source: path),
        "cannot be read as text; give the configuration of the weights (config.yaml of their run)")
    }
  }

  /// Parses the text of a configuration.
  ///
  /// - Throws: `ConfigurationError` with the file, the line and the key.
  public static func parse(
    _ text: String, file: String, overrides: [String] = []
  ) throws(ConfigurationError) -> ModelDescription {
    let location = { (line: Int?) in ConfigurationLocation(source: file, line: line) }
    guard var root = try ConfigurationNode.parse(text, place: location) else {
      throw ConfigurationError(location(nil), "is empty; give the configuration of the weights")
    }
    for override in overrides { try RunConfiguration.apply(override, to: &root) }
    guard case .mapping(let groups) = root.content else {
      throw ConfigurationError(root.location, "must hold sections such as 'model:', got \(root.shown)")
    }
    var configuration = RunConfiguration()
    for section in sections {
      var entries: [ConfigurationNode.Entry] = []
      if let group = groups.first(where: { $0.key == section.name }), !group.value.isNull {
        guard case .mapping(let members) = group.value.content else {
          throw ConfigurationError(group.location, "section '\(section.name)' must hold keys, got \(group.value.shown)")
        }
        entries = members
      }
      for entry in entries where section.isComplete && !section.fields.contains(where: { $0.key == entry.key }) {
        throw ConfigurationError(
          entry.location, "unknown key '\(section.name).\(ConfigurationText.shortened(entry.key))'; remove it")
      }
      for field in section.fields {
        if let entry = entries.first(where: { $0.key == field.key }) {
          try field.decode(entry.value, "\(section.name).\(field.key)", &configuration)
        } else {
          field.derive?(&configuration)
        }
      }
    }
    do throws(ConfigurationIssue) {
      try configuration.model.validate(precision: configuration.formats)
    } catch {
      throw ConfigurationError(location(nil), "\(error)")
    }
    return ModelDescription(configuration)
  }

  /// The description as files store it.
  public var tree: ConfigurationTree {
    var configuration = RunConfiguration()
    configuration.model = model
    configuration.precision = precision
    var tree: ConfigurationTree = ["data": tokenizer.entries]
    for section in Self.sections where section.isComplete {
      for field in section.fields {
        tree[section.name, default: [:]][field.key] = Self.scalar(field.encode(configuration))
      }
    }
    return tree
  }

  private static func scalar(_ text: String) -> ConfigurationScalar {
    if text == "true" || text == "false" { return .boolean(text == "true") }
    if let value = Int(text) { return .integer(value) }
    if let value = Double(text) { return .number(value) }
    return .text(text)
  }

  /// The description as JSON text with sorted keys: `config.json` of exports.
  public var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    guard let data = try? encoder.encode(tree) else { preconditionFailure("a tree of scalars can be encoded as JSON") }
    return String(decoding: data, as: UTF8.self) + "\n"
  }

  /// Reads a description that `tree` wrote; `file` is for messages.
  public init(tree: ConfigurationTree, file: String) throws(ConfigurationError) {
    let data: Data
    do { data = try JSONEncoder().encode(tree) } catch {
      throw ConfigurationError(ConfigurationLocation(source: file), "holds a number that is not finite")
    }
    self = try Self.parse(String(decoding: data, as: UTF8.self), file: file)
  }
}
