import ArgumentParser

/// `quillan debug`.
struct DebugCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "debug", abstract: "Check this program's numbers, and describe the machine it runs on.",
    subcommands: [CompareCommand.self, ConfigurationCommand.self, EnvironmentCommand.self, ReplayCommand.self])
}
