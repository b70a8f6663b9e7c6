/// A plain-text table with aligned columns; numbers align right.
///
/// ```
/// component   parameters     packed
/// ---------  -----------  ---------
/// embedding   25,731,584   49.1 MiB
/// ```
public struct Table: Sendable {
  /// How a column's cells stand.
  public enum Alignment: Sendable { case left, right }

  private let header: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  /// A table with a header; the first column aligns left and the others right unless said otherwise.
  public init(_ header: [String], alignments: [Alignment]? = nil) {
    let standard = header.indices.map { $0 == 0 ? Alignment.left : .right }
    precondition(
      alignments.map { $0.count == header.count } ?? true,
      "\(header.count) columns but \(alignments?.count ?? 0) alignments")
    self.header = header
    self.alignments = alignments ?? standard
  }

  /// Adds a row with one cell per column. Line ends show as ⏎ and other control characters as their pictures, so that no cell
  /// can move the terminal's cursor.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count == header.count, "\(header.count) columns but \(cells.count) cells: \(cells)")
    rows.append(cells.map(Self.printable))
  }

  /// The table's lines, each ending with a line break and without spaces before it.
  public var text: String { text(widths: widths) }

  /// The same in at most `width` columns, if cells of left-aligned columns can be cut to that; a cut cell ends with …
  public func text(width: Int) -> String {
    let natural = widths
    func limited(_ most: Int) -> [Int] {
      natural.indices.map { alignments[$0] == .left ? min(natural[$0], most) : natural[$0] }
    }
    var most = natural.max() ?? 0
    while most > Self.narrowest, limited(most).reduce(2 * (natural.count - 1), +) > width { most -= 1 }
    return text(widths: limited(most))
  }

  /// A column is cut to no less.
  private static let narrowest = 4

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
      let cell = Self.cut(cell, to: widths[column])
      let space = String(repeating: " ", count: widths[column] - Self.width(cell))
      line += (column > 0 ? "  " : "") + (alignments[column] == .left ? cell + space : space + cell)
    }
    while line.last == " " { line.removeLast() }
    return line + "\n"
  }

  private static func cut(_ cell: String, to width: Int) -> String {
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

  /// The columns of a terminal that a character takes: 2 for East Asian wide characters and most emoji.
  private static func width(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first?.value, first >= 0x1100 else { return 1 }
    let wide: [ClosedRange<UInt32>] = [
      0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
      0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
    ]
    return wide.contains { $0.contains(first) } ? 2 : 1
  }
}
