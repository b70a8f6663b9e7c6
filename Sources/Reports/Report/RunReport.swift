import Configuration
import Files
import Foundation
import Rollouts

/// A self-contained HTML page about one run or a comparison of several: results, curves, evaluations, alarms, loads of the
/// council as heat maps, sample completions by token, and configurations with their differences.
///
/// The page needs no network, follows the light or dark colour scheme of the reader, and fits a phone.
public struct RunReport: Sendable {
  let runs: [RunContent]
  /// The date on the page.
  let date: Date

  /// - Precondition: there is at least one run.
  public init(_ runs: [RunContent], date: Date = Date()) {
    precondition(!runs.isEmpty, "a report without runs")
    self.runs = runs
    self.date = date
  }

  /// The page.
  public var html: String {
    let sections: [(id: String, title: String, body: String)] = [
      ("overview", "Overview", overview), ("curves", "Curves", figures), ("evaluations", "Evaluations", evaluations),
      ("alarms", "Alarms", alarms), ("loads", "Loads of the council", loads),
      ("samples", "Sample completions", samples), ("configuration", "Configuration", configuration),
    ].filter { !$0.body.isEmpty }
    let title = runs.map(\.name).joined(separator: ", ")
    let contents = sections.map { "<a href=\"#\($0.id)\">\($0.title)</a>" }.joined()
    // The policy blocks all requests, and all scripts except the one with the nonce.
    let nonce = String(UInt64.random(in: 0 ... .max), radix: 36) + String(UInt64.random(in: 0 ... .max), radix: 36)
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
      script-src 'nonce-\(nonce)'; base-uri 'none'; form-action 'none'">
      <meta name="color-scheme" content="light dark"><title>\(HTMLText.escaped(title)) – Quillan</title>
      <style>\(ReportStyle.css)</style></head>
      <body><header>\(heading)</header><nav aria-label="Contents">\(contents)</nav><main>
      \(sections.map { "<section id=\"\($0.id)\"><h2>\($0.title)</h2>\($0.body)</section>" }.joined(separator: "\n"))
      </main><footer>Written by Quillan \(ProgramVersion.text) on \(Self.text(date)).</footer>
      <script nonce="\(nonce)">
      \(ReportScript.source)
      </script></body></html>

      """
  }

  /// Writes the page atomically.
  ///
  /// - Throws: `ReportError`.
  public func write(to path: String, policy: OutputPolicy = .own) throws(ReportError) {
    try AtomicFile.write(html, to: path, policy: policy)
  }

  /// A date in words, independent of locale and time zone: 27 November 2026, 21:10 UTC.
  static func text(_ date: Date) -> String {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute], from: date)
    let months = [
      "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
      "December",
    ]
    func two(_ number: Int?) -> String { String("0\(number ?? 0)".suffix(2)) }
    return "\(parts.day ?? 0) \(months[((parts.month ?? 1) - 1) % 12]) \(parts.year ?? 0), "
      + "\(two(parts.hour)):\(two(parts.minute)) UTC"
  }

  /// The name of a run as a heading within a section, if there are several runs.
  func heading(_ run: RunContent) -> String {
    runs.count > 1 ? "<h3>\(HTMLText.escaped(run.name))</h3>" : ""
  }

  // MARK: Tables

  private var evaluations: String {
    runs.compactMap { run -> String? in
      let rows = run.evaluations
      return rows.isEmpty ? nil : heading(run) + EvaluationTable(rows).html
    }.joined()
  }

  private var alarms: String {
    if runs.allSatisfy(\.alarms.isEmpty) { return "<p class=\"quiet\">None.</p>" }
    return runs.map { run in
      guard !run.alarms.isEmpty else { return heading(run) + "<p class=\"quiet\">None.</p>" }
      var table = HTMLText.Table(["since step", "alarm", "what"], style: "keys")
      for alarm in run.alarms {
        table.add([
          "\(alarm.members["since"]?.integerValue ?? alarm.step)",
          (alarm.members["name"]?.textValue ?? "").replacingOccurrences(of: "_", with: " "),
          alarm.members["message"]?.textValue ?? "",
        ])
      }
      return heading(run) + table.html
    }.joined()
  }

  private var samples: String {
    let parts = runs.compactMap { run -> String? in
      let steps = Array(Set(run.samples.map(\.step))).sorted()
      guard let first = steps.first, let last = steps.last else { return nil }
      let shown = Set([first, steps[steps.count / 2], last]).sorted()
      let cards = shown.map { step in
        SampleText.html(step: step, run.samples.filter { $0.step == step }.map(\.members))
      }
      return heading(run) + "<div class=\"samples\">\(cards.joined())</div>"
    }
    return parts.isEmpty ? "" : SampleText.legend + parts.joined()
  }
}
