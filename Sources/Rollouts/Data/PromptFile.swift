import Foundation

/// Prompts from JSON Lines: `{"prompt": "…", "answer": "…", …}`; other members are kept.
public enum PromptFile {
  /// The prompts of a file in order, with ids from 0.
  ///
  /// - Parameters:
  ///   - requiresAnswer: whether a line without `answer` is an error; otherwise its answer is empty.
  ///   - observe: called with all bytes of the file.
  /// - Throws: `DataError` naming file and line.
  public static func prompts(
    at url: URL, requiresAnswer: Bool = true, observe: ContentObserver = { _ in }
  ) throws(DataError) -> [Prompt] {
    var prompts: [Prompt] = []
    for line in try JSONLines.lines(at: url, observe: observe) {
      let text = try JSONLines.text("prompt", of: line, isRequired: true, file: url) ?? ""
      let answer = try JSONLines.text("answer", of: line, isRequired: requiresAnswer, file: url) ?? ""
      if text.isEmpty {
        throw DataError(
          file: url.relativePath, line: line.number, problem: "'prompt' is empty",
          remedy: "write the text that the model continues")
      }
      prompts.append(
        Prompt(
          id: Int64(prompts.count), text: text, answer: answer,
          fields: line.members.filter { $0.key != "prompt" && $0.key != "answer" },
          origin: "\(url.relativePath):\(line.number)"))
    }
    return prompts
  }
}
