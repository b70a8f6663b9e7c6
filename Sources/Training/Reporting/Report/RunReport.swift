import Files
import Foundation
import Rollouts

/// One self-contained HTML page about one run, or several beside each other: curves, evaluations, alarms, the council's
/// loads as heat maps, sample completions token by token, and the configurations with their differences.
///
/// The page needs no network and follows the reader's light or dark colour scheme.
public struct RunReport: Sendable {
  private let runs: [RunContent]

  /// - Precondition: there is at least one run.
  public init(_ runs: [RunContent]) {
    precondition(!runs.isEmpty, "a report without runs")
    self.runs = runs
  }

  /// The page.
  public var html: String {
    let title = "Quillan: " + runs.map(\.name).joined(separator: ", ")
    let sections = [
      summary, figures, evaluations, alarms, loads, samples, configuration,
    ]
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark"><title>\(HTMLText.escaped(title))</title>
      <style>\(ReportStyle.css)</style></head>
      <body><header><h1>\(HTMLText.escaped(title))</h1></header><main>
      \(sections.joined(separator: "\n"))
      </main></body></html>

      """
  }

  /// Writes the page atomically.
  ///
  /// - Throws: `ReportError`.
  public func write(to path: String, policy: OutputPolicy = .own) throws(ReportError) {
    try AtomicFile.write(html, to: path, policy: policy)
  }

  // MARK: Figures

  private var summary: String {
    var table = HTMLText.Table(["run", "steps", "reward", "held-out exact match", "tokens/s", "peak memory"])
    for run in runs {
      func last(_ metric: String, _ decimals: Int) -> String {
        let points = run.points(metric)
        guard let final = points.last else { return "–" }
        return FigureText.fixed(final.y, decimals)
      }
      let matches = run.points("eval/exact_match")
      let match =
        matches.count > 1
        ? "\(FigureText.fixed(matches[0].y, 3)) → \(FigureText.fixed(matches[matches.count - 1].y, 3))"
        : last("eval/exact_match", 3)
      let speeds = run.points("tokens_per_second").map(\.y).sorted()
      let memory = run.points("memory/peak_bytes").last.map { FigureText.bytes(Int($0.y)) } ?? "–"
      table.add([
        run.name, "\(run.lines.map(\.step).max() ?? 0)", last("reward", 3), match,
        speeds.isEmpty ? "–" : FigureText.grouped(speeds[speeds.count / 2].rounded()), memory,
      ])
    }
    return "<section><h2>Overview</h2>\(table.html)</section>"
  }

  /// A chart: its heading, its unit, and metrics; those that no run has are left out.
  private static let charts: [(title: String, unit: String, metrics: [String])] = [
    ("Reward", "mean reward", ["reward"]), ("Held-out exact match", "share", ["eval/exact_match"]),
    ("Held-out bits per byte", "bits", ["eval/bits_per_byte"]),
    ("Completion length", "tokens", ["completions/mean_length"]),
    ("Completions that met the length limit", "share", ["completions/clipped_ratio"]),
    ("Entropy", "nats", ["entropy"]), ("KL to π_old", "nats", ["kl"]),
    ("KL to the reference", "nats", ["loss/kl_reference"]), ("Total loss", "loss", ["loss"]),
    ("Policy loss", "loss", ["loss/policy"]), ("Cross-entropy", "nats per token", ["loss/cross_entropy"]),
    ("Diffusion loss", "nats per bit", ["loss/diffusion"]),
    ("Latent accuracy", "share of bits predicted", ["latent/accuracy"]),
    ("Balance loss", "loss", ["loss/aux"]), ("Value loss", "loss", ["loss/value"]),
    ("Groups without a spread of rewards", "share", ["frac_reward_zero_std"]),
    ("Clipped ratios", "share", ["clip_ratio/low", "clip_ratio/high"]), ("Gradient norm", "norm", ["grad_norm"]),
    ("Learning rate", "rate", ["learning_rate"]), ("Entropy coefficient", "weight", ["entropy_coef"]),
    ("Throughput", "tokens/s", ["tokens_per_second"]), ("Seconds of a step", "s", ["step_time"]),
    ("Peak memory of the largest rank", "MiB", ["memory/peak_bytes"]),
  ]

  private var figures: String {
    let rewards = Set(runs.flatMap { $0.metrics(prefix: "rewards/") }).sorted()
    let own = rewards.map { (title: String($0), unit: "mean", metrics: [$0]) }
    let drawn = (Self.charts + (own.count > 1 ? own : [])).compactMap { chart -> String? in
      var series: [LineChart.Series] = []
      for run in runs {
        for metric in chart.metrics {
          var points = run.points(metric)
          guard points.count > 1 else { continue }
          if chart.unit == "MiB" { points = points.map { ($0.x, $0.y / 1_048_576) } }
          let parts = [runs.count > 1 ? run.name : nil, chart.metrics.count > 1 ? metric : nil].compactMap { $0 }
          series.append(LineChart.Series(name: parts.isEmpty ? metric : parts.joined(separator: " "), points: points))
        }
      }
      guard !series.isEmpty else { return nil }
      let svg = LineChart(
        title: chart.title, panels: [LineChart.Panel(title: "", label: chart.unit, series: series)]
      ).svg
      return "<figure>\(svg)</figure>"
    }
    return "<section><h2>Curves</h2><div class=\"grid\">\(drawn.joined())</div></section>"
  }

  // MARK: Tables

  private var evaluations: String {
    let parts = runs.compactMap { run -> String? in
      let rows = run.evaluations
      guard !rows.isEmpty else { return nil }
      return heading(run) + EvaluationTable(rows).html
    }
    return parts.isEmpty ? "" : "<section><h2>Evaluations</h2>\(parts.joined())</section>"
  }

  private var alarms: String {
    let parts = runs.map { run in
      let alarms = run.alarms
      guard !alarms.isEmpty else { return heading(run) + "<p class=\"quiet-text\">None.</p>" }
      var table = HTMLText.Table(["since step", "alarm", "what"])
      for alarm in alarms {
        table.add([
          "\(alarm.members["since"]?.integerValue ?? alarm.step)",
          (alarm.members["name"]?.textValue ?? "").replacingOccurrences(of: "_", with: " "),
          alarm.members["message"]?.textValue ?? "",
        ])
      }
      return heading(run) + table.html
    }
    return "<section><h2>Alarms</h2>\(parts.joined())</section>"
  }

  private func heading(_ run: RunContent) -> String {
    runs.count > 1 ? "<h3>\(HTMLText.escaped(run.name))</h3>" : ""
  }

  // MARK: Loads

  private var loads: String {
    let parts = runs.compactMap { run -> String? in
      let maps = [
        map("Mini-MoEs: slots, over all layers", run.loads("mini_moes"), highest: 2.5, run, even: "1 = even share"),
        map(
          "Experts of each mini-MoE", run.loads("experts"), highest: 2.5, run, even: "1 = even share in its mini-MoE"),
        map(
          "Micro agents that a step chose", run.microAgentsUsed, highest: 1, run, even: "share of a mini-MoE's agents"),
      ].compactMap { $0 }
      return maps.isEmpty ? nil : heading(run) + "<div class=\"grid\">\(maps.joined())</div>"
    }
    return parts.isEmpty ? "" : "<section><h2>Loads of the council</h2>\(parts.joined())</section>"
  }

  private func map(_ title: String, _ values: [[Double]], highest: Double, _ run: RunContent, even: String) -> String? {
    guard let columns = values.first?.count, columns > 0 else { return nil }
    let steps = run.lines.filter { $0.members["loads"] != nil }.map(\.step)
    let image = HeatMap(values: values, highest: highest)
    let scale = (0...8).map { "<i style=\"background:\(HeatMap.css(Double($0) / 8))\"></i>" }.joined()
    return """
      <figure class="map"><figcaption>\(HTMLText.escaped(title))</figcaption>
      <img alt="\(HTMLText.escaped(title)), \(values.count) rows, steps \(steps.first ?? 0) to \(steps.last ?? 0)" \
      src="\(image.source)" style="height:\(min(360, max(96, values.count * 6)))px">
      <div class="axis-row"><span>step \(steps.first ?? 0)</span><span>step \(steps.last ?? 0)</span></div>
      <div class="scale"><span>0</span>\(scale)<span>\(FigureText.fixed(highest, 1)) or more</span>\
      <span class="quiet-text">\(values.count) rows from the top; \(HTMLText.escaped(even))</span></div></figure>
      """
  }

  // MARK: Samples

  private var samples: String {
    let parts = runs.compactMap { run -> String? in
      let steps = Array(Set(run.samples.map(\.step))).sorted()
      guard let first = steps.first, let last = steps.last else { return nil }
      let shown = Set([first, steps[steps.count / 2], last]).sorted()
      let lists = shown.map { step in
        let items = run.samples.filter { $0.step == step }.prefix(4).map { SampleText.html($0.members) }
        return "<h4>Step \(step)</h4><div class=\"samples\">\(items.joined())</div>"
      }
      return heading(run) + lists.joined()
    }
    guard !parts.isEmpty else { return "" }
    return """
      <section><h2>Sample completions</h2><p class="quiet-text">The redder a token, the less likely the policy held it; \
      point at one for its log-probability.</p>\(parts.joined())</section>
      """
  }

  // MARK: Configuration

  private var configuration: String {
    let keys = runs[0].configuration.map(\.key)
    func value(_ run: RunContent, _ key: String) -> String {
      run.configuration.first { $0.key == key }?.value ?? "–"
    }
    let all = keys + Set(runs.flatMap { $0.configuration.map(\.key) }).subtracting(keys).sorted()
    var differences = HTMLText.Table(["key"] + runs.map(\.name))
    var count = 0
    for key in all where Set(runs.map { value($0, key) }).count > 1 {
      differences.add([key] + runs.map { value($0, key) })
      count += 1
    }
    let difference =
      runs.count == 1
      ? "" : count == 0 ? "<p class=\"quiet-text\">No differences.</p>" : "<h3>Differences</h3>\(differences.html)"
    var whole = HTMLText.Table(["key"] + runs.map(\.name))
    for key in all { whole.add([key] + runs.map { value($0, key) }) }
    return """
      <section><h2>Configuration</h2>\(difference)<details><summary>All \(all.count) keys</summary>\(whole.html)</details>\
      </section>
      """
  }
}
