import Formats

/// HTML elements with escaped text.
enum HTMLText {
  /// Escapes markup, control characters and marks that change the text direction.
  ///
  /// - Parameter breaksLines: whether the arrow that shows a line break is followed by a line break.
  static func escaped(_ text: String, breaksLines: Bool = false) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      // HTML forbids control characters: show their symbols, and an arrow for a line break.
      case "\n": result += breaksLines ? "↵\n" : "↵"
      case _ where scalar.value < 32: result.unicodeScalars.append(Unicode.Scalar(0x2400 + scalar.value) ?? " ")
      case _ where reorders(scalar): result.unicodeScalars.append("\u{FFFD}")
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Whether the scalar changes the direction of the following text, which would mix a completion with the page around it.
  private static func reorders(_ scalar: Unicode.Scalar) -> Bool {
    (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
  }

  /// Data for the script of the page, in an element that is not executed.
  static func data(_ value: JSONValue) -> String {
    // "</script>" in a text would end the element.
    "<script type=\"application/json\">\(value.serialized.replacing("<", with: "\\u003c"))</script>"
  }

  /// A table with a header, in a box that scrolls horizontally.
  struct Table {
    private let header: [String]
    private let style: String
    private var rows: [[String]] = []

    /// - Parameter style: CSS classes: `keys` keeps the first column on one line; `figures` aligns the others right.
    init(_ header: [String], style: String = "") {
      self.header = header
      self.style = style
    }

    /// Adds a row of unescaped texts.
    mutating func add(_ cells: [String]) { add(html: cells.map { escaped($0) }) }

    /// Adds a row of HTML.
    mutating func add(html cells: [String]) {
      precondition(cells.count == header.count, "\(header.count) columns but \(cells.count) cells: \(cells)")
      rows.append(cells)
    }

    var html: String {
      let head = header.map { "<th>\(escaped($0))</th>" }.joined()
      let body = rows.map { "<tr>" + $0.map { "<td>\($0)</td>" }.joined() + "</tr>" }.joined(separator: "\n")
      return
        "<div class=\"table\"><table class=\"\(style)\"><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>"
    }
  }
}
