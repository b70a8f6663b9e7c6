import Foundation
import Rollouts
import Tensors
import Training

/// `quillan generate --batch`: the prompts of a file, answered in order, one JSON line each.
struct BatchGeneration {
  let command: GenerateCommand
  let opened: GenerateCommand.Opened
  let context: Context

  func run(_ prompts: [Prompt]) throws {
    let encoded = try encode(prompts)
    let generator = try command.generator(
      opened, longest: encoded.map(\.count).max() ?? 1, stops: command.chat ? [Conversation.stop] : [],
      context: context)
    Interrupt.install()
    var lines = ""
    let part = max(1, command.batchSize / command.drawing.samples)
    let start = ContinuousClock.now
    for first in stride(from: 0, to: prompts.count, by: part) {
      let range = first..<min(first + part, prompts.count)
      let groups = try generator.complete(
        Array(encoded[range]), firstID: UInt64(first * command.drawing.samples),
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
    // An unfinished file is not written: its name stands for all answers.
    if Interrupt.isRequested { throw ExitStatus.stopped }
    if let output = command.output { try AtomicFile.write(lines, to: output, policy: command.replacing.policy) }
  }

  /// The tokens of all prompts, before any is answered.
  ///
  /// - Throws: `CommandError` naming the first line that cannot be answered, and how many more there are.
  private func encode(_ prompts: [Prompt]) throws -> [[Int32]] {
    var encoded: [[Int32]] = []
    var faults: [String] = []
    for prompt in prompts {
      do {
        let tokens = try command.tokens(prompt.text, opened)
        if !command.fits(tokens.count, opened) {
          faults.append("\(prompt.origin): \(command.misfit(tokens.count, opened))")
        }
        encoded.append(tokens)
      } catch let error as CommandError {
        faults.append("\(prompt.origin): \(error.description)")
      }
    }
    guard let first = faults.first else { return encoded }
    let others = faults.count > 1 ? " (\(faults.count - 1) more lines have such a fault)" : ""
    throw CommandError(.badData, first + others)
  }

  private func progress(_ done: Int, of total: Int, since start: ContinuousClock.Instant) {
    guard isatty(STDERR_FILENO) == 1 else { return }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let left = FigureText.duration(seconds / Double(done) * Double(total - done))
    StandardErrorLog.write("\r\(done) of \(FigureText.count(total, "prompt")), \(left) left\u{1B}[K")
  }
}
