import Errors
import Foundation
import Reports
import Rollouts
import Runs
import Tensors

/// `quillan generate --batch`: completes the prompts of a file in order, and writes one JSON line for each.
struct BatchGeneration {
  let command: GenerateCommand
  let opened: GenerateCommand.Opened
  let context: Context

  func run(_ prompts: [Prompt]) throws {
    let encoded = try encode(prompts)
    let generator = try command.generator(
      opened, longest: encoded.map(\.count).max() ?? 1, stops: command.stops(opened),
      context: context)
    Interrupt.install()
    var lines = ""
    let part = max(1, command.batchSize / command.sampling.samples)
    let start = ContinuousClock.now
    for first in stride(from: 0, to: prompts.count, by: part) {
      let range = first..<min(first + part, prompts.count)
      let groups = try generator.complete(
        Array(encoded[range]), firstID: UInt64(first * command.sampling.samples),
        isInterrupted: { Interrupt.isRequested })
      if Interrupt.isRequested { break }
      for (index, group) in zip(range, groups) {
        let line =
          CompletionText.json(prompts[index].text, encoded[index], group, opened.tokenizer, command).serialized + "\n"
        if command.output == nil { try StandardOutput.write(line) } else { lines += line }
      }
      progress(range.upperBound, of: prompts.count, since: start)
    }
    if isatty(STDERR_FILENO) == 1 { StandardErrorLog.write("\n") }
    // No partial file: a file that exists holds all completions.
    if Interrupt.isRequested { throw ExitStatus.stopped }
    if let output = command.output { try AtomicFile.write(lines, to: output, policy: command.replacing.policy) }
  }

  /// Encodes all prompts before the first completion.
  ///
  /// - Throws: `CommandError` that names the first line that cannot be completed and counts the others.
  private func encode(_ prompts: [Prompt]) throws -> [[Int32]] {
    var encoded: [[Int32]] = []
    var errors: [CommandError] = []
    func note(_ error: CommandError, _ prompt: Prompt) {
      errors.append(CommandError(.data, at: "\(prompt.origin)", error.problem, remedy: error.remedy))
    }
    if opened.tokenizer.chatForm == nil, let prompt = prompts.first(where: { $0.messages != nil }) {
      throw CommandError(
        .usage, at: prompt.origin, "the prompt is a list of messages, but the model has no chat form",
        remedy: "write it as a text, or name a form, for example --set data.chat=chatml")
    }
    for prompt in prompts {
      do {
        let tokens =
          if let messages = prompt.messages {
            try command.chatTokens(messages, opened, at: prompt.origin)
          } else {
            try command.tokens(prompt.text, opened)
          }
        if let error = command.misfit(tokens.count, opened) { note(error, prompt) }
        encoded.append(tokens)
      } catch let error as CommandError {
        note(error, prompt)
      }
    }
    guard let first = errors.first else { return encoded }
    let others = errors.count - 1
    let note =
      others == 0 ? "" : " (\(FigureText.count(others, "more line")) \(others == 1 ? "has" : "have") such an error)"
    throw CommandError(.data, at: first.place, first.problem + note, remedy: first.remedy)
  }

  private func progress(_ done: Int, of total: Int, since start: ContinuousClock.Instant) {
    guard isatty(STDERR_FILENO) == 1 else { return }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let left = FigureText.duration(seconds / Double(done) * Double(total - done))
    StandardErrorLog.write("\r\(done) of \(FigureText.count(total, "prompt")), \(left) left\u{1B}[K")
  }
}
