import Formats
import Foundation
import Rollouts

/// Reads the conversation of `generate --messages`.
enum ConversationFile {
  /// The messages of a JSON file, or of standard input if `path` is `-`.
  ///
  /// - Throws: `CommandError` if it is not a list of messages, or ends with the assistant's.
  static func messages(at path: String) throws(CommandError) -> [ChatMessage] {
    let place = path == "-" ? "stdin" : path
    guard
      let data = path == "-"
        ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
    else { throw CommandError(.failure, at: place, "cannot be read", remedy: "give a JSON file") }
    let root: JSONValue
    do { root = try JSONValue.parse(data) } catch {
      throw CommandError(.data, at: place, "is not JSON: \(error)", remedy: "give a list of messages")
    }
    // A line of a prompt file, too.
    guard let list = root.listValue ?? root.objectValue?["messages"]?.listValue, !list.isEmpty else {
      throw CommandError(
        .data, at: place, "is not a list of messages", remedy: #"write [{"role": "user", "content": "…"}]"#)
    }
    var messages: [ChatMessage] = []
    for (index, value) in list.enumerated() {
      guard let role = value.objectValue?["role"]?.textValue, let content = value.objectValue?["content"]?.textValue
      else {
        throw CommandError(
          .data, at: place, "message \(index) has no role or content, or one that is not a string",
          remedy: #"write {"role": "user", "content": "…"}"#)
      }
      messages.append(ChatMessage(role: role, content: content))
    }
    if messages.last?.role == "assistant" {
      throw CommandError(.data, at: place, "the last message is the assistant's", remedy: "end with what to answer")
    }
    return messages
  }
}
