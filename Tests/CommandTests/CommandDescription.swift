import Foundation

/// A command as the program describes itself.
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

  /// Every command below and including this one, with the words that lead to it.
  func all(_ words: [String] = []) -> [(words: [String], command: CommandDescription)] {
    let below = (subcommands ?? []).filter { $0.commandName != "help" }
    return [(words, self)] + below.flatMap { $0.all(words + [$0.commandName]) }
  }
}
