import ArgumentParser

/// `quillan export`.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write weights for other programs.",
    subcommands: [ExportSafetensorsCommand.self, ExportONNXCommand.self])
}
