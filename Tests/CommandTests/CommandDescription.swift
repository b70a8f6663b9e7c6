import Foundation

/// A command, from --experimental-dump-help.
struct CommandDescription: Decodable {
  struct Dump: Decodable {
    let command: CommandDescription
  }

  struct Argument: Decodable {
    struct Name: Decodable {
      let name: String
    }

    let abstract: String?
    let names: [Name]?
    let shouldDisplay: Bool
  }

  let commandName: String
  let abstract: String?
  let arguments: [Argument]?
  let subcommands: [CommandDescription]?

  /// This command and all commands below it, with the words of their command lines.
  func all(_ words: [String] = []) -> [(words: [String], command: CommandDescription)] {
    let below = (subcommands ?? []).filter { $0.commandName != "help" }
    return [(words, self)] + below.flatMap { $0.all(words + [$0.commandName]) }
  }
}
