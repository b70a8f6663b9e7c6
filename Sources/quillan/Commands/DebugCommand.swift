import ArgumentParser

/// `quillan debug`.
struct DebugCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "debug",
    abstract: "Check numerical results, replay steps, and describe configurations and machines.",
    subcommands: [CompareCommand.self, ConfigurationCommand.self, EnvironmentCommand.self, ReplayCommand.self])
}
