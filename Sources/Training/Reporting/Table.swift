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

  /// Adds a row with one cell per column.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count == header.count, "\(header.count) columns but \(cells.count) cells: \(cells)")
    rows.append(cells)
  }

  /// The table's lines, each ending with a line break and without spaces before it.
  public var text: String {
    let widths = header.indices.map { column in
      ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    let rule = widths.map { String(repeating: "-", count: $0) }
    return ([header, rule] + rows).map { line($0, widths: widths) }.joined()
  }

  private func line(_ cells: [String], widths: [Int]) -> String {
    var line = ""
    for (column, cell) in cells.enumerated() {
      let space = String(repeating: " ", count: widths[column] - cell.count)
      line += (column > 0 ? "  " : "") + (alignments[column] == .left ? cell + space : space + cell)
    }
    while line.last == " " { line.removeLast() }
    return line + "\n"
  }
}
