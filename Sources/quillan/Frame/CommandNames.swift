import ArgumentParser
import Configuration

/// Finds a misspelt command before the argument parser reports the options after it.
enum CommandNames {
  /// - Throws: `CommandError` if a word at a command's position, at any level, is not a command.
  static func check(_ arguments: [String]) throws(CommandError) {
    var command: any ParsableCommand.Type = Quillan.self
    var path = name(command)
    for word in arguments {
      let commands = command.configuration.subcommands
      // The argument parser handles options, and 'help' with the words after it.
      guard !commands.isEmpty, !word.hasPrefix("-"), word != "help" else { return }
      guard let next = commands.first(where: { name($0) == word || $0.configuration.aliases.contains(word) }) else {
        throw unknown(word, among: commands.map(name), of: path)
      }
      command = next
      path += " \(word)"
    }
  }

  private static func name(_ command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? ""
  }

  private static func unknown(_ word: String, among names: [String], of path: String) -> CommandError {
    let shown = ConfigurationText.shortened(word)
    let advice =
      KeyDistance.similar(to: word, among: names).map { "did you mean '\(path) \($0)'?" }
      ?? "\(path) has \(names.joined(separator: ", "))"
    return CommandError(.usage, "unknown command '\(shown)' (\(advice))", remedy: "see '\(path) --help'")
  }
}
