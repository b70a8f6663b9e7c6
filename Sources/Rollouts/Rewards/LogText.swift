/// Makes texts of models and other programs fit for a line of the log.
enum LogText {
  /// The text as a literal on one line, with control characters escaped; a text beyond the limit ends with its length.
  static func quoted(_ text: String, limit: Int) -> String {
    let shown = String(text.prefix(limit)).debugDescription
    return text.count > limit ? "\(shown)… (\(text.count) characters)" : shown
  }

  /// The text on one line without control characters.
  static func plain(_ text: String, limit: Int) -> String {
    var result = ""
    for scalar in text.unicodeScalars.prefix(limit) {
      result += scalar.properties.generalCategory == .control && scalar != "\t" ? "\u{FFFD}" : String(scalar)
    }
    return text.unicodeScalars.count > limit ? result + "…" : result
  }
}
