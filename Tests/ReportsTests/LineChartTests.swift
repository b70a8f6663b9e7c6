import Foundation
import Reports
import Testing

/// A chart like that of a run of `count` steps.
private func chart(count: Int) -> LineChart {
  let steps = (0..<count).map(Double.init)
  let noise = steps.map { step in sin(step * 12.9898) * 0.1 + sin(step * 78.233) * 0.07 }
  let reward = steps.indices.map { (x: steps[$0] + 1, y: 0.9 - 0.6 * exp(-steps[$0] / 80) + noise[$0]) }
  let exact = steps.indices.map { (x: steps[$0] + 1, y: 0.8 - 0.75 * exp(-steps[$0] / 110) + noise[$0] * 0.8) }
  let loss = steps.indices.map {
    (x: steps[$0] + 1, y: $0 == 5 ? .nan : 0.05 * exp(-steps[$0] / 60) + noise[$0] * 0.02)
  }
  return LineChart(
    title: "quickstart: addition of 2 digits", subtitle: "0.4M parameters, 2 ranks, seed 0 <&>",
    panels: [
      .init(
        title: "Reward", label: "mean per completion",
        series: [.init(name: "partial credit", points: reward), .init(name: "exact match", points: exact)]),
      .init(title: "Loss", label: "total loss (nats)", series: [.init(name: "total", points: loss)]),
    ])
}

@Suite struct LineChartTests {
  @Test(
    "The picture has finite coordinates, escaped text and a bounded size for no, one, few and many points",
    arguments: [0, 1, 2, 40, 300, 20_000])
  func sizes(count: Int) {
    let svg = chart(count: count).svg
    #expect(svg.utf8.count < 600_000)
    #expect(!svg.contains("nan") && !svg.contains("inf"))
    #expect(svg.contains("seed 0 &lt;&amp;&gt;"))
    #expect(svg.contains("prefers-color-scheme: dark"))
    #expect(svg.contains("no values yet") == (count == 0))
  }

  @Test("Extreme, equal and non-finite values give a picture with finite coordinates")
  func extremes() {
    let rows: [[Double]] = [
      [1e300, -1e300], [1e-300, 2e-300], [.nan, .infinity], [5, 5, 5], [0, 0], [1e9, 1e9 + 1], [-.infinity, 1],
    ]
    for row in rows {
      let points = row.enumerated().map { (x: Double($0.offset), y: $0.element) }
      let svg = LineChart(
        title: "t", panels: [.init(title: "p", label: "l", series: [.init(name: "s", points: points)])]
      ).svg
      #expect(!svg.contains("nan") && !svg.contains("\"inf"), "\(row)")
      #expect(svg.hasSuffix("</svg>\n"))
    }
  }

  @Test("Units are beside titles, and the margin fits the longest tick label")
  func margins() throws {
    let points = [(x: 1.0, y: 1e9), (x: 2.0, y: 1e9 + 1)]
    let svg = LineChart(
      title: "t", panels: [.init(title: "Reward", label: "mean", series: [.init(name: "s", points: points)])]
    ).svg
    #expect(svg.contains(">Reward<tspan class=\"unit\" dx=\"8\">mean</tspan></text>") && !svg.contains("rotate("))
    for tick in svg.matches(of: /class="tick" x="([0-9.]+)" y="[0-9.]+" text-anchor="end">([^<]+)</) {
      #expect(try #require(Double(tick.1)) >= 6.5 * Double(tick.2.count), "\(tick.2)")
    }
  }

  @Test("The style sheet of a chart does not affect the page around it")
  func scope() throws {
    let style = try #require(chart(count: 2).svg.firstMatch(of: /<style>([\s\S]*)<\/style>/)).1
    let rules = style.matches(of: /([^{}]+)\{[^{}]*\}/).map { $0.1.trimmingCharacters(in: .whitespacesAndNewlines) }
    #expect(rules.count > 20)
    for selector in rules.flatMap({ $0.split(separator: ",") }) {
      #expect(selector.trimmingCharacters(in: .whitespaces).hasPrefix(".quillan-chart "), "\(selector)")
    }
  }
}
