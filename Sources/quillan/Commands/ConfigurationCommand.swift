import ArgumentParser
import Training

/// `quillan debug configuration`: what a run would use.
struct ConfigurationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configuration",
    abstract: "Print the complete configuration that a run would use, or the reference of all keys.")

  @Option(name: .long, help: ArgumentHelp("YAML configuration of the run.", valueName: "file"))
  var config: String?

  @OptionGroup var overrides: OverrideOptions

  @Flag(help: "Print every key with its default and meaning instead, as Markdown.")
  var reference = false

  func validate() throws {
    try PathCheck.validate(["--config": config])
    if reference != (config == nil) || (reference && !overrides.set.isEmpty) {
      throw ValidationError("give either --config FILE or --reference")
    }
  }

  func run() throws {
    guard let config else {
      try StandardOutput.write(RunConfiguration.reference)
      return
    }
    let configuration = try RunConfiguration.load(path: config, overrides: overrides.set)
    for warning in configuration.warnings { CommandLog.logger.warning("\(warning)") }
    try StandardOutput.write(configuration.yaml())
  }
}
