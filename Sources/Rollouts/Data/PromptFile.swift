import Formats
import Foundation

/// Prompts from JSON Lines or a JSON list: `{"prompt": "…", "answer": "…", …}`; other members are kept.
///
/// A prompt is a text or a list of messages `{"role": "user", "content": "…"}`. If the last message is the assistant's,
/// it is the answer and not part of the prompt.
public enum PromptFile {
  /// The prompts of a file in order, with ids from 0.
  ///
  /// - Parameters:
  ///   - members: the names of the members that hold prompt and answer.
  ///   - requiresAnswer: whether a line without an answer is an error; otherwise its answer is empty.
  ///   - observe: called with all bytes of the file.
  /// - Throws: `DataError` naming file and line.
  public static func prompts(
    at url: URL, members: PromptMembers = PromptMembers(), requiresAnswer: Bool = true,
    observe: ContentObserver = { _ in }
  ) throws(DataError) -> [Prompt] {
    var prompts: [Prompt] = []
    for line in try JSONLines.lines(at: url, observe: observe) {
      let reader = Reader(file: url, line: line, members: members, requiresAnswer: requiresAnswer)
      prompts.append(try reader.prompt(id: Int64(prompts.count)))
    }
    return prompts
  }

  /// Reads one object of a file.
  private struct Reader {
    let file: URL
    let line: JSONLines.Line
    let members: PromptMembers
    let requiresAnswer: Bool

    private func fault(_ problem: String, _ remedy: String) -> DataError {
      DataError(file: file.relativePath, line: line.number, problem: problem, remedy: remedy)
    }

    private var promptName: String {
      members.prompt ?? (line.members["prompt"] == nil && line.members["messages"] != nil ? "messages" : "prompt")
    }

    func prompt(id: Int64) throws(DataError) -> Prompt {
      let (name, answerName) = (promptName, members.answer ?? "answer")
      let value = PromptMembers.value(name, of: line.members)
      var fields = line.members
      // Members under other names stay available to templates and rewards.
      for used in [name, answerName] where used == "prompt" || used == "answer" { fields[used] = nil }
      let origin = "\(file.relativePath):\(line.number)"
      guard let list = value?.listValue else {
        let text = try JSONLines.text(name, of: line, isRequired: true, file: file, key: "data.members.prompt") ?? ""
        if text.isEmpty { throw fault("'\(name)' is empty", "write the text that the model continues") }
        return Prompt(
          id: id, text: text, answer: try answer(answerName, isRequired: requiresAnswer) ?? "", fields: fields,
          origin: origin)
      }
      var messages = try messages(list, name)
      let last = messages.last?.role == "assistant" ? messages.removeLast().content : nil
      if messages.isEmpty {
        throw fault("'\(name)' has no message to answer", "add a message of the user before the assistant's")
      }
      let written = try answer(answerName, isRequired: requiresAnswer && last == nil)
      if last != nil, written != nil {
        throw fault(
          "'\(name)' ends with a message of the assistant, and '\(answerName)' is an answer, too", "remove one of them")
      }
      if fields["messages"] == nil { fields["messages"] = value }
      return Prompt(
        id: id, text: messages.map { "\($0.role): \($0.content)" }.joined(separator: "\n"),
        answer: written ?? last ?? "", fields: fields, origin: origin, messages: messages)
    }

    /// The answer: a string, or the content of the only message in a list.
    private func answer(_ name: String, isRequired: Bool) throws(DataError) -> String? {
      if let list = PromptMembers.value(name, of: line.members)?.listValue, list.first?.objectValue != nil {
        let messages = try messages(list, name)
        guard messages.count == 1, messages[0].role == "assistant" else {
          throw fault("'\(name)' is not one message of the assistant", "write one message, or a string")
        }
        return messages[0].content
      }
      return try JSONLines.text(name, of: line, isRequired: isRequired, file: file, key: "data.members.answer")
    }

    private func messages(_ list: [JSONValue], _ name: String) throws(DataError) -> [ChatMessage] {
      if list.isEmpty { throw fault("'\(name)' is an empty list", "write at least one message") }
      var messages: [ChatMessage] = []
      for (index, value) in list.enumerated() {
        let remedy = #"write messages as {"role": "user", "content": "…"}"#
        guard let members = value.objectValue else {
          throw fault("message \(index) of '\(name)' is \(value.kind)", remedy)
        }
        for key in ["role", "content"] where members[key]?.textValue == nil {
          throw fault("'\(key)' of message \(index) of '\(name)' is \(members[key]?.kind ?? "missing")", remedy)
        }
        guard let role = members["role"]?.textValue, !role.isEmpty else {
          throw fault("the role of message \(index) of '\(name)' is empty", remedy)
        }
        messages.append(ChatMessage(role: role, content: members["content"]?.textValue ?? ""))
      }
      return messages
    }
  }
}
