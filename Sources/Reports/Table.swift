/// A plain-text table with aligned columns; numbers align right.
///
/// ```
/// component   parameters     packed
/// ---------  -----------  ---------
/// embedding   25,731,584   49.1 MiB
/// ```
public struct Table: Sendable {
  /// The alignment of a column.
  public enum Alignment: Sendable { case left, right }

  private let header: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  /// A table with a header. By default the first column aligns left and the others right.
  public init(_ header: [String], alignments: [Alignment]? = nil) {
    let standard = header.indices.map { $0 == 0 ? Alignment.left : .right }
    precondition(
      alignments.map { $0.count == header.count } ?? true,
      "\(header.count) columns but \(alignments?.count ?? 0) alignments")
    self.header = header
    self.alignments = alignments ?? standard
  }

  /// Adds a row with one cell per column. Line breaks appear as ⏎ and other control characters as their symbols, so that a
  /// cell cannot move the cursor of the terminal.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count == header.count, "\(header.count) columns but \(cells.count) cells: \(cells)")
    rows.append(cells.map(Self.printable))
  }

  /// The lines of the table, each with a line break and without trailing spaces.
  public var text: String { text(widths: widths) }

  /// The lines of the table in at most `width` columns if truncating left-aligned cells makes that possible. A truncated
  /// cell ends with "…".
  public func text(width: Int) -> String {
    let natural = widths
    func limited(_ limit: Int) -> [Int] {
      natural.indices.map { alignments[$0] == .left ? min(natural[$0], limit) : natural[$0] }
    }
    var limit = natural.max() ?? 0
    while limit > Self.minimumWidth, limited(limit).reduce(2 * (natural.count - 1), +) > width { limit -= 1 }
    return text(widths: limited(limit))
  }

  /// The minimum width of a truncated column.
  private static let minimumWidth = 4

  private var widths: [Int] {
    header.indices.map { column in ([header] + rows).map { Self.width($0[column]) }.max() ?? 0 }
  }

  private func text(widths: [Int]) -> String {
    let rule = widths.map { String(repeating: "-", count: $0) }
    return ([header, rule] + rows).map { line($0, widths: widths) }.joined()
  }

  private func line(_ cells: [String], widths: [Int]) -> String {
    var line = ""
    for (column, cell) in cells.enumerated() {
      let cell = Self.truncated(cell, to: widths[column])
      let space = String(repeating: " ", count: widths[column] - Self.width(cell))
      line += (column > 0 ? "  " : "") + (alignments[column] == .left ? cell + space : space + cell)
    }
    while line.last == " " { line.removeLast() }
    return line + "\n"
  }

  private static func truncated(_ cell: String, to width: Int) -> String {
    guard Self.width(cell) > width else { return cell }
    var result = ""
    var rest = width - 1
    for character in cell {
      rest -= Self.width(character)
      if rest < 0 { break }
      result.append(character)
    }
    return result + "…"
  }

  private static func printable(_ cell: String) -> String {
    var result = ""
    for character in cell {
      if character.isNewline {
        result += "⏎"
        continue
      }
      for scalar in character.unicodeScalars {
        let picture = scalar.value < 32 ? Unicode.Scalar(0x2400 + scalar.value) : nil
        result.unicodeScalars.append(picture ?? (scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar))
      }
    }
    return result
  }

  private static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

  /// The number of terminal columns of a character: 2 for East Asian wide characters and most emoji.
  private static func width(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first?.value, first >= 0x1100 else { return 1 }
    let wide: [ClosedRange<UInt32>] = [
      0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
      0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
    ]
    return wide.contains { $0.contains(first) } ? 2 : 1
  }
}
