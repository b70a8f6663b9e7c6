import ArgumentParser
import Training

/// The options of every command that takes a configuration.
struct ConfigurationOptions: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("YAML configuration of the run.", valueName: "file"))
  var config: String

  @OptionGroup var overrides: OverrideOptions

  func validate() throws { try PathCheck.validate(["--config": config]) }

  /// The configuration with the overrides applied; its log level is in force from here on.
  ///
  /// - Throws: `ConfigurationError` (exit code 2).
  func load() throws -> RunConfiguration {
    let configuration = try RunConfiguration.load(path: config, overrides: overrides.set)
    StandardErrorLog.setLevel(configuration.logging.level)
    return configuration
  }
}

/// Overrides on the command line.
struct OverrideOptions: ParsableArguments {
  @Option(
    name: .long, parsing: .singleValue,
    help: ArgumentHelp("Override one key, for example rl.batch_size=8. Repeatable.", valueName: "section.key=value"))
  var set: [String] = []
}
