import Logging

/// The logger of the commands.
enum CommandLog {
  static let logger = Logger(label: "quillan")
}
