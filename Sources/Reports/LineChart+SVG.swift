import Errors

extension LineChart {
  // Distances in pixels.
  private static let width = 880.0
  /// Minimum left margin; long tick labels widen it.
  private static let left = 56.0
  private static let right = 28.0
  private static let heading = 78.0
  private static let panelHeight = 206.0
  private static let panelGap = 54.0
  private static let footer = 58.0
  /// Maximum number of raw points drawn per curve.
  private static let largestCount = 2000

  /// The picture as SVG 1.1 text.
  public var svg: String {
    let scales = panels.map { panel in
      AxisScale(covering: panel.series.flatMap { $0.points.map(\.y) }, tickCount: 5, padding: 0.06)
    }
    // About 7 pixels per character, since SVG cannot measure text.
    let longest = scales.flatMap { scale in scale.ticks.map { scale.label($0).count } }.max() ?? 0
    let left = max(Self.left, 20 + 7 * Double(longest))
    let plotWidth = Self.width - left - Self.right
    let panelCount = Double(max(1, panels.count))
    let height = Self.heading + panelCount * Self.panelHeight + (panelCount - 1) * Self.panelGap + Self.footer
    let steps = AxisScale(
      covering: panels.flatMap { $0.series.flatMap { $0.points.map(\.x) } }, tickCount: 8, padding: 0, isWhole: true)
    var svg = """
      <svg xmlns="http://www.w3.org/2000/svg" class="quillan-chart" viewBox="0 0 \(pixels(Self.width)) \(pixels(height))" \
      width="\(pixels(Self.width))" height="\(pixels(height))" role="img" aria-label="\(escaped(title))">
      <style>\(Self.style)</style>
      <rect class="ground" width="100%" height="100%"/>
      <text class="title" x="\(pixels(left))" y="32">\(escaped(title))</text>
      <text class="quiet" x="\(pixels(left))" y="51">\(escaped(subtitle))</text>

      """
    for (index, panel) in panels.enumerated() {
      let top = Self.heading + Double(index) * (Self.panelHeight + Self.panelGap)
      svg += draw(panel, steps: steps, values: scales[index], top: top, left: left, plotWidth: plotWidth)
    }
    svg += text(stepLabel, x: left + plotWidth / 2, y: height - 14, class: "label", anchor: "middle")
    return svg + "</svg>\n"
  }

  private func draw(
    _ panel: Panel, steps: AxisScale, values: AxisScale, top: Double, left: Double, plotWidth: Double
  ) -> String {
    let plotTop = top + 22
    let plotHeight = Self.panelHeight - 22
    let bottom = plotTop + plotHeight
    func horizontal(_ step: Double) -> Double { left + steps.fraction(step) * plotWidth }
    func vertical(_ value: Double) -> Double { bottom - values.fraction(value) * plotHeight }

    var svg = heading(panel, x: left, y: top + 8)
    for tick in values.ticks {
      let y = vertical(tick)
      svg += line(from: (left, y), to: (left + plotWidth, y), class: "grid")
      svg += text(values.label(tick), x: left - 9, y: y + 4, class: "tick", anchor: "end")
    }
    for tick in steps.ticks {
      let x = horizontal(tick)
      svg += line(from: (x, bottom), to: (x, bottom + 5), class: "axis")
      svg += text(steps.label(tick), x: x, y: bottom + 20, class: "tick", anchor: "middle")
    }
    svg += line(from: (left, bottom), to: (left + plotWidth, bottom), class: "axis")
    for (index, series) in panel.series.enumerated() {
      svg += draw(series, colour: index % 4, horizontal: horizontal, vertical: vertical)
    }
    if !panel.series.contains(where: { $0.points.contains { $0.x.isFinite && $0.y.isFinite } }) {
      svg += text(
        "no values yet", x: left + plotWidth / 2, y: plotTop + plotHeight / 2, class: "quiet", anchor: "middle")
    }
    return svg + legend(panel, y: top + 8, right: left + plotWidth)
  }

  /// The title with the unit beside it: a rotated axis title would overlap long tick labels.
  private func heading(_ panel: Panel, x: Double, y: Double) -> String {
    "<text class=\"heading\" x=\"\(pixels(x))\" y=\"\(pixels(y))\">\(escaped(panel.title))"
      + "<tspan class=\"unit\" dx=\"8\">\(escaped(panel.label))</tspan></text>\n"
  }

  private func draw(
    _ series: Series, colour: Int, horizontal: (Double) -> Double, vertical: (Double) -> Double
  ) -> String {
    let window = Self.window(series)
    func path(_ points: [(x: Double, y: Double)], _ style: String) -> String {
      let finite = points.map { $0.x.isFinite && $0.y.isFinite }
      var commands = ""
      for (index, point) in points.enumerated() where finite[index] {
        let continues = index > 0 && finite[index - 1]
        commands += "\(continues ? "L" : "M")\(pixels(horizontal(point.x))) \(pixels(vertical(point.y)))"
        // A single point becomes a dot: a line of length 0 with round ends.
        let isLone = !continues && (index + 1 == points.count || !finite[index + 1])
        if isLone { commands += "h0" }
      }
      return commands.isEmpty ? "" : "<path class=\"\(style) colour\(colour)\" d=\"\(commands)\"/>\n"
    }
    func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
      CurveSmoothing.thinned(points, limit: Self.largestCount)
    }
    guard window > 1 else { return path(thinned(series.points), "bold") }
    return path(thinned(series.points), "faint")
      + path(thinned(CurveSmoothing.smoothed(series.points, window: window)), "bold")
  }

  /// One text element with a coloured dot before each name, since SVG cannot measure text to position several elements.
  private func legend(_ panel: Panel, y: Double, right: Double) -> String {
    let entries = panel.series.enumerated().map { index, series in
      "<tspan class=\"dot\(index % 4)\">\u{25CF}</tspan>\u{A0}\(escaped(series.name))"
    }
    let window = panel.series.map(Self.window).max() ?? 1
    let note = window > 1 ? ["bold: mean of \(window) steps"] : []
    let gap = "\u{A0}\u{A0}\u{A0}\u{A0}"
    return "<text class=\"quiet\" x=\"\(pixels(right))\" y=\"\(pixels(y))\" text-anchor=\"end\">"
      + (entries + note).joined(separator: gap) + "</text>\n"
  }

  /// The window over which the bold curve averages: 1 for a short series and for a series without noise.
  private static func window(_ series: Series) -> Int {
    series.isNoisy ? CurveSmoothing.window(series.points.count) : 1
  }

  private func text(_ content: String, x: Double, y: Double, class style: String, anchor: String) -> String {
    "<text class=\"\(style)\" x=\"\(pixels(x))\" y=\"\(pixels(y))\" text-anchor=\"\(anchor)\">\(escaped(content))</text>\n"
  }

  private func line(from start: (Double, Double), to end: (Double, Double), class style: String) -> String {
    "<path class=\"\(style)\" d=\"M\(pixels(start.0)) \(pixels(start.1))L\(pixels(end.0)) \(pixels(end.1))\"/>\n"
  }

  /// A coordinate with at most two decimals.
  private func pixels(_ value: Double) -> String {
    let text = FigureText.fixed(value, 2)
    return text.hasSuffix(".00") ? String(text.dropLast(3)) : text
  }

  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case _ where scalar.value < 32: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Every rule includes the class of the chart, since a style sheet inside an SVG applies to the whole page around it.
  private static let style = """

    .quillan-chart text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; \
    font-size: 12px; }
    .quillan-chart .title { font-size: 19px; font-weight: 600; fill: #1f2328; }
    .quillan-chart .heading { font-size: 14px; font-weight: 600; fill: #1f2328; }
    .quillan-chart .unit { font-size: 12px; font-weight: 400; }
    .quillan-chart .label, .quillan-chart .quiet, .quillan-chart .tick, .quillan-chart .unit { fill: #59636e; }
    .quillan-chart .tick { font-variant-numeric: tabular-nums; } .quillan-chart .ground { fill: #ffffff; }
    .quillan-chart path { fill: none; } .quillan-chart .grid { stroke: #e4e7eb; }
    .quillan-chart .axis { stroke: #8c959f; }
    .quillan-chart .bold { stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
    .quillan-chart .faint { stroke-width: 1; stroke-opacity: 0.32; stroke-linejoin: round; stroke-linecap: round; }
    .quillan-chart .colour0 { stroke: #1668dc; } .quillan-chart .colour1 { stroke: #d4580a; }
    .quillan-chart .colour2 { stroke: #0f8a5f; } .quillan-chart .colour3 { stroke: #a626c4; }
    .quillan-chart .dot0 { fill: #1668dc; } .quillan-chart .dot1 { fill: #d4580a; }
    .quillan-chart .dot2 { fill: #0f8a5f; } .quillan-chart .dot3 { fill: #a626c4; }
    @media (prefers-color-scheme: dark) {
      .quillan-chart .title, .quillan-chart .heading { fill: #f0f6fc; } .quillan-chart .ground { fill: #0d1117; }
      .quillan-chart .label, .quillan-chart .quiet, .quillan-chart .tick, .quillan-chart .unit { fill: #b7c0ca; }
      .quillan-chart .grid { stroke: #262c36; } .quillan-chart .axis { stroke: #7d8590; }
      .quillan-chart .colour0 { stroke: #6cb0ff; } .quillan-chart .colour1 { stroke: #ff9e57; }
      .quillan-chart .colour2 { stroke: #3fcf9a; } .quillan-chart .colour3 { stroke: #e28bf5; }
      .quillan-chart .dot0 { fill: #6cb0ff; } .quillan-chart .dot1 { fill: #ff9e57; }
      .quillan-chart .dot2 { fill: #3fcf9a; } .quillan-chart .dot3 { fill: #e28bf5; }
    }

    """
}
