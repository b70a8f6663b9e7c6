/// Pieces of HTML whose text is escaped.
enum HTMLText {
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      // Control characters, which HTML does not allow, as their pictures; a line break as an arrow.
      case "\n": result += "↵"
      case _ where scalar.value < 32: result.unicodeScalars.append(Unicode.Scalar(0x2400 + scalar.value) ?? " ")
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A table with a header, in a box that scrolls sideways.
  struct Table {
    private let header: [String]
    private var rows: [[String]] = []

    init(_ header: [String]) { self.header = header }

    mutating func add(_ cells: [String]) {
      precondition(cells.count == header.count, "\(header.count) columns but \(cells.count) cells: \(cells)")
      rows.append(cells)
    }

    var html: String {
      let head = header.map { "<th>\(escaped($0))</th>" }.joined()
      let body = rows.map { "<tr>" + $0.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>" }.joined(separator: "\n")
      return "<div class=\"table\"><table><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>"
    }
  }
}
