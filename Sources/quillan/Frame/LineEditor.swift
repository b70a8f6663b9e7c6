import Foundation

/// Reads lines from the terminal, with editing and a history.
///
/// Left, Right, Home, End, Backspace, Delete, Ctrl-A/E/B/F/K/U/W edit; Up and Down recall earlier lines; Ctrl-L clears
/// the screen; Ctrl-C discards the line; Ctrl-D on an empty line ends the input. If standard input is not a terminal,
/// lines are read without editing.
final class LineEditor {
  private var history: [String] = []
  private var line: [Character] = []
  private var cursor = 0
  /// The index in `history` of the line shown; `history.count` is the line being written.
  private var recalled = 0
  private var draft: [Character] = []

  enum Outcome: Equatable {
    case line(String)
    /// Ctrl-C.
    case dropped
    /// Ctrl-D, or the end of the input.
    case end
  }

  private var isTerminal: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

  /// Reads one line; the prompt is shown on a terminal only.
  func read(prompt: String) -> Outcome {
    guard isTerminal else { return readLine(strippingNewline: true).map(Outcome.line) ?? .end }
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
      return readLine(strippingNewline: true).map(Outcome.line) ?? .end
    }
    var raw = settings
    cfmakeraw(&raw)
    raw.c_oflag |= tcflag_t(OPOST)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)
    defer { tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) }
    line = []
    cursor = 0
    recalled = history.count
    let outcome = edit(prompt)
    StandardErrorLog.write("\n")
    if case .line(let text) = outcome, !text.isEmpty, history.last != text { history.append(text) }
    return outcome
  }

  private func edit(_ prompt: String) -> Outcome {
    while true {
      show(prompt)
      guard let key = byte() else { return .end }
      switch key {
      case 3: return .dropped
      case 4:
        if line.isEmpty { return .end }
        delete(at: cursor)
      case 10, 13:
        cursor = line.count
        show(prompt)
        return .line(String(line))
      case 1: cursor = 0
      case 5: cursor = line.count
      case 2: cursor = max(0, cursor - 1)
      case 6: cursor = min(line.count, cursor + 1)
      case 8, 127:
        if cursor > 0 {
          cursor -= 1
          delete(at: cursor)
        }
      case 11: line.removeSubrange(cursor...)
      case 12: StandardErrorLog.write("\u{1B}[2J\u{1B}[H")
      case 21:
        line.removeSubrange(..<cursor)
        cursor = 0
      case 23: deleteWord()
      case 27: escape()
      case 32...126, 128...255: insert(key)
      default: break
      }
    }
  }

  private func delete(at index: Int) {
    if line.indices.contains(index) { line.remove(at: index) }
  }

  private func deleteWord() {
    var start = cursor
    while start > 0, line[start - 1] == " " { start -= 1 }
    while start > 0, line[start - 1] != " " { start -= 1 }
    line.removeSubrange(start..<cursor)
    cursor = start
  }

  /// Inserts a character whose UTF-8 starts with `first`; a combining mark joins the character before it.
  private func insert(_ first: UInt8) {
    var bytes = [first]
    let length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    while bytes.count < length, let next = byte() { bytes.append(next) }
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    let before = String(line[..<cursor]) + text
    let after = line[cursor...]
    line = Array(before) + after
    cursor = line.count - after.count
  }

  /// Arrow keys, Home, End, Delete.
  private func escape() {
    guard let kind = byte(), kind == UInt8(ascii: "[") || kind == UInt8(ascii: "O"), let key = byte() else { return }
    switch Unicode.Scalar(key) {
    case "A": recall(recalled - 1)
    case "B": recall(recalled + 1)
    case "C": cursor = min(line.count, cursor + 1)
    case "D": cursor = max(0, cursor - 1)
    case "H": cursor = 0
    case "F": cursor = line.count
    case "0"..."9":
      // Reads up to the closing ~ or letter, which skips modifiers (as in Ctrl-arrow).
      var last = key
      while let next = byte() {
        last = next
        if next == UInt8(ascii: "~") || (0x40...0x7E).contains(next) { break }
      }
      if last == UInt8(ascii: "~") {
        if key == UInt8(ascii: "3") { delete(at: cursor) }
        if key == UInt8(ascii: "1") || key == UInt8(ascii: "7") { cursor = 0 }
        if key == UInt8(ascii: "4") || key == UInt8(ascii: "8") { cursor = line.count }
      }
    default: break
    }
  }

  private func recall(_ index: Int) {
    guard (0...history.count).contains(index) else { return }
    if recalled == history.count { draft = line }
    recalled = index
    line = index == history.count ? draft : Array(history[index])
    cursor = line.count
  }

  /// Redraws the line and the cursor; a line wider than the terminal scrolls.
  private func show(_ prompt: String) {
    var size = winsize()
    let width = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    let room = max(8, width - prompt.count - 1)
    let start = max(0, cursor - room + 1)
    let shown = line[start..<min(line.count, start + room)]
    var text = "\r\(prompt)\(String(shown))\u{1B}[K"
    let back = shown.endIndex - cursor
    if back > 0 { text += "\u{1B}[\(back)D" }
    StandardErrorLog.write(text)
  }

  private func byte() -> UInt8? {
    var value: UInt8 = 0
    while true {
      let count = Foundation.read(STDIN_FILENO, &value, 1)
      if count == 1 { return value }
      if count < 0, errno == EINTR { continue }
      return nil
    }
  }
}
