/// Evaluations of a run by step, as HTML for the report and as Markdown for the run directory.
struct EvaluationTable {
  private let rows: [(step: Int, figures: [String: Double])]
  private let columns: [String]

  init(_ rows: [(step: Int, figures: [String: Double])]) {
    self.rows = rows
    columns = Set(rows.flatMap(\.figures.keys)).sorted()
  }

  private func cells(_ row: (step: Int, figures: [String: Double])) -> [String] {
    ["\(row.step)"] + columns.map { name in row.figures[name].map { FigureText.fixed($0, 4) } ?? "" }
  }

  private var header: [String] { ["step"] + columns.map { String($0.dropFirst("eval/".count)) } }

  var html: String {
    var table = HTMLText.Table(header)
    for row in rows { table.add(cells(row)) }
    return table.html
  }

  var markdown: String {
    let rule = header.indices.map { $0 == 0 ? "---" : "---:" }
    return ([header, rule] + rows.map(cells)).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
  }
}
