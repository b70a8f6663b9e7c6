import ArgumentParser
import Configuration

/// The options of every command that takes a configuration.
struct ConfigurationOptions: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("YAML configuration of the run.", valueName: "file"))
  var config: String

  @OptionGroup var overrides: OverrideOptions

  func validate() throws { try PathCheck.validate(["--config": config]) }

  /// Reads the configuration, applies the overrides, and sets the log level.
  ///
  /// - Throws: `ConfigurationError` (exit code 2).
  func load() throws -> RunConfiguration {
    let configuration = try RunConfiguration.load(path: config, overrides: overrides.set)
    StandardErrorLog.setLevel(configuration.logging.level)
    return configuration
  }
}
