import ArgumentParser
import Configuration

/// `quillan debug configuration`: prints the resolved configuration of a run.
struct ConfigurationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configuration",
    abstract: "Print the complete configuration of a run, or the reference of all keys.")

  @Option(name: .long, help: ArgumentHelp("YAML configuration of the run.", valueName: "file"))
  var config: String?

  @OptionGroup var overrides: OverrideOptions

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Print only the value of this key, without quotes; null prints as an empty line. Repeatable.",
      valueName: "section.key"))
  var get: [String] = []

  @Flag(help: "Print only the files that a run would read, one per line.")
  var files = false

  @Flag(
    name: [.customLong("null"), .customShort("0")],
    help: "End each item of --get and --files with NUL instead of a line break, for scripts.")
  var null = false

  @Flag(help: "Print all keys with defaults and meanings, as Markdown.")
  var reference = false

  func validate() throws {
    try PathCheck.validate(["--config": config])
    if reference != (config == nil) || (reference && !overrides.set.isEmpty) {
      throw ValidationError("give either --config FILE or --reference")
    }
    if reference && (files || !get.isEmpty) { throw ValidationError("--get and --files need --config FILE") }
    if files && !get.isEmpty { throw ValidationError("give either --get or --files") }
    if null && !files && get.isEmpty { throw ValidationError("--null needs --get or --files") }
  }

  func run() throws {
    guard let config else {
      try StandardOutput.write(RunConfiguration.reference)
      return
    }
    let configuration = try RunConfiguration.load(path: config, overrides: overrides.set)
    if files || !get.isEmpty {
      let values = files ? configuration.inputFiles : try get.map { try configuration.value(of: $0) }
      try StandardOutput.write(values.map { $0 + (null ? "\0" : "\n") }.joined())
      return
    }
    for warning in configuration.warnings { CommandLog.logger.warning("\(warning)") }
    try StandardOutput.write(configuration.yaml())
  }
}
