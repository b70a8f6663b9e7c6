import Errors

/// A table of the evaluations of a run by step, in HTML for the report and in Markdown for the run directory.
package struct EvaluationTable {
  private let rows: [(step: Int, figures: [String: Double])]
  private let columns: [String]

  package init(_ rows: [(step: Int, figures: [String: Double])]) {
    self.rows = rows
    columns = Set(rows.flatMap(\.figures.keys)).sorted()
  }

  private func cells(_ row: (step: Int, figures: [String: Double])) -> [String] {
    ["\(row.step)"] + columns.map { name in row.figures[name].map { FigureText.fixed($0, 4) } ?? "" }
  }

  private var header: [String] { ["step"] + columns.map { String($0.dropFirst("eval/".count)) } }

  /// Maximum number of rows shown before a click.
  private static let shown = 12

  /// All rows. If there are many, shows equally spaced rows including the last, and all rows after a click.
  var html: String {
    func table(_ indices: [Int]) -> String {
      var table = HTMLText.Table(header, style: "keys figures")
      for index in indices { table.add(cells(rows[index])) }
      return table.html
    }
    let all = Array(rows.indices)
    guard rows.count > Self.shown else { return table(all) }
    let some = (0..<Self.shown).map { $0 * (rows.count - 1) / (Self.shown - 1) }
    return table(some) + "<details><summary>All \(rows.count) evaluations</summary>\(table(all))</details>"
  }

  package var markdown: String {
    let rule = header.indices.map { $0 == 0 ? "---" : "---:" }
    return ([header, rule] + rows.map(cells)).map { MarkdownText.row($0) + "\n" }.joined()
  }
}
