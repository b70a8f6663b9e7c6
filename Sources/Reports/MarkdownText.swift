/// Text inside Markdown.
package enum MarkdownText {
  /// A table cell that shows `text` verbatim: line breaks as ⏎, and characters of Markdown or HTML markup as character
  /// references.
  package static func verbatim(_ text: String) -> String {
    var result = ""
    for character in text {
      if character.isNewline {
        result += "⏎"
        continue
      }
      for scalar in character.unicodeScalars {
        switch scalar {
        case _ where scalar.value < 32: result.unicodeScalars.append(Unicode.Scalar(0x2400 + scalar.value) ?? " ")
        case "\\", "`", "*", "_", "{", "}", "[", "]", "<", ">", "&", "|", "#", "~", "$", "!":
          result += "&#\(scalar.value);"
        default: result.unicodeScalars.append(scalar)
        }
      }
    }
    return result
  }

  /// A table row of names and numbers, which may contain `|` or a line break but no other markup.
  package static func row(_ cells: [String]) -> String {
    let shown = cells.map { cell in
      cell.map { $0 == "|" ? "\\|" : $0.isNewline ? "⏎" : String($0) }.joined()
    }
    return "| " + shown.joined(separator: " | ") + " |"
  }
}
