import Testing

import Training

@Suite struct TextStreamTests {
  private func stream(_ text: String, stops: [String], piece: Int) -> (pieces: [String], stopped: Bool) {
    var stream = TextStream(stops: stops)
    var pieces: [String] = []
    let bytes = Array(text.utf8)
    for first in stride(from: 0, to: bytes.count, by: piece) {
      pieces.append(stream.append(Array(bytes[first..<min(first + piece, bytes.count)])))
    }
    pieces.append(stream.flush())
    return (pieces, stream.isStopped)
  }

  @Test("Streamed parts join to the text and have complete characters, however its bytes arrive", arguments: 1...7)
  func whole(piece: Int) {
    let text = "naïve 日本語 🜁 end"
    let result = stream(text, stops: [], piece: piece)
    #expect(result.pieces.joined() == text && !result.stopped)
    #expect(!result.pieces.joined().contains("\u{FFFD}"))
  }

  @Test("Output ends before the first stop string", arguments: 1...7)
  func stops(piece: Int) {
    let result = stream("ab\nUse\nUser: x STOP", stops: ["STOP", "\nUser:"], piece: piece)
    #expect(result.pieces.joined() == "ab\nUse" && result.stopped)
    #expect(stream("ab\nUse", stops: ["\nUser:"], piece: piece).pieces.joined() == "ab\nUse")
  }

  @Test("Bytes that are not UTF-8 become U+FFFD without delay")
  func invalid() {
    var stream = TextStream(stops: [])
    let pieces = [stream.append([0xFF, 0x41]), stream.append([0xE6, 0x97]), stream.flush()]
    #expect(pieces == ["\u{FFFD}A", "", "\u{FFFD}"])
  }
}

@Suite struct ConversationTests {
  @Test("Turns become lines that the assistant continues, and can be removed")
  func turns() {
    var chat = Conversation(system: "Be brief.")
    chat.ask("Hi")
    #expect(chat.prompt == "Be brief.\n\nUser: Hi\nAssistant:")
    chat.answer(" Hello. ")
    chat.ask("Bye")
    #expect(chat.prompt == "Be brief.\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:")
    let question = chat.undo()
    #expect(question == "Bye" && chat.turns.count == 2)
    chat.ask("Again")
    let didForget = chat.forgetOldest()
    #expect(didForget && chat.prompt == "Be brief.\n\nUser: Again\nAssistant:")
    let canForgetTheQuestion = chat.forgetOldest()
    #expect(!canForgetTheQuestion)
  }
}
