import Configuration
import Errors

/// The configuration section of a report.
extension RunReport {
  var configuration: String {
    let keys = runs[0].configuration.map(\.key)
    let all = keys + Set(runs.flatMap { $0.configuration.map(\.key) }).subtracting(keys).sorted()
    let values = runs.map { Dictionary($0.configuration.map { ($0.key, $0.value) }) { first, _ in first } }
    func rows(_ header: [String], where isShown: (String) -> Bool, _ cells: (String) -> [String]) -> (Int, String) {
      var table = HTMLText.Table(header, style: "keys")
      let shown = all.filter(isShown)
      for key in shown { table.add([key] + cells(key)) }
      return (shown.count, table.html)
    }
    func cells(_ key: String) -> [String] { values.map { $0[key] ?? "–" } }
    let whole = rows(["key"] + runs.map(\.name), where: { _ in true }, cells).1
    let rest = "<details><summary>All \(FigureText.count(all.count, "key"))</summary>\(whole)</details>"
    if runs.count > 1 {
      let (count, table) = rows(["key"] + runs.map(\.name), where: { Set(cells($0)).count > 1 }, cells)
      return (count == 0 ? "<p class=\"quiet\">No differences.</p>" : "<h3>Differences</h3>\(table)") + rest
    }
    let standard = Dictionary(RunContent.keys(RunConfiguration().yaml()).map { ($0.key, $0.value) }) { first, _ in first
    }
    let (count, table) = rows(
      ["key", "this run", "default"], where: { values[0][$0] != standard[$0] },
      { [values[0][$0] ?? "–", standard[$0] ?? "–"] })
    return
      (count == 0
      ? "<p class=\"quiet\">Every key has its default.</p>" : "<h3>Different from the defaults</h3>\(table)")
      + rest
  }
}
