import Foundation
import Runs
import Tensors

/// `quillan generate --interactive`: completes prompts line by line, or holds a chat.
struct InteractiveGeneration {
  let command: GenerateCommand
  let opened: GenerateCommand.Opened
  let context: Context

  private static let help = """
    /undo removes the last turn and its reply, /retry repeats the last prompt with other random numbers,
    /reset starts a new chat, /quit exits. Ctrl-C stops a completion, Ctrl-D exits.

    """

  func run() throws {
    let editor = LineEditor()
    var conversation = Conversation(system: command.system)
    var answers: UInt64 = 0
    var last: String?
    Interrupt.install()
    while true {
      var line: String
      switch editor.read(prompt: "> ") {
      case .end: return
      case .dropped: continue
      case .line(let text): line = text
      }
      switch line.trimmingCharacters(in: .whitespaces) {
      case "": continue
      case "/quit", "/exit": return
      case "/help":
        StandardErrorLog.write(Self.help)
        continue
      case "/reset":
        conversation = Conversation(system: command.system)
        continue
      case "/undo":
        conversation.undo()
        continue
      case "/retry":
        guard let again = command.chat ? conversation.undo() : last else { continue }
        line = again
      case let other where other.hasPrefix("/"):
        StandardErrorLog.write("unknown command \(other); /help lists the commands\n")
        continue
      default: break
      }
      last = line
      do {
        try answer(line, &conversation, id: answers)
      } catch let error as CommandError {
        CommandRunner.report(error)
        if command.chat { conversation.undo() }
      }
      answers += 1
    }
  }

  private func answer(_ line: String, _ conversation: inout Conversation, id: UInt64) throws {
    var prompt: [Int32]
    if command.chat {
      conversation.ask(line)
      prompt = try command.tokens(conversation, opened)
      let room = opened.source.model.configuration.maxSeqLen - (command.sampling.maxTokens ?? 1)
      while prompt.count > room, conversation.forgetOldest() { prompt = try command.tokens(conversation, opened) }
    } else {
      prompt = try command.tokens(line, opened)
    }
    let generator = try command.generator(
      opened, longest: prompt.count, stops: command.stops(opened), context: context)
    Interrupt.reset()
    var failure: (any Error)?
    let completion = try generator.complete(
      [prompt], firstID: id, isInterrupted: { Interrupt.isRequested || failure != nil },
      emit: { _, _, piece in do { try StandardOutput.write(piece) } catch { failure = failure ?? error } })[0][0]
    if let failure { throw failure }
    try StandardOutput.write("\n")
    Interrupt.reset()
    if command.chat { conversation.answer(completion.text) }
  }
}
