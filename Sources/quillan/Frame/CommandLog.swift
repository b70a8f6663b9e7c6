import Logging

/// The logger of the commands themselves.
enum CommandLog {
  static let logger = Logger(label: "quillan")
}
