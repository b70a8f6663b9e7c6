extension LineChart {
  // Distances in pixels.
  private static let width = 880.0
  private static let left = 84.0
  private static let right = 28.0
  private static let heading = 78.0
  private static let panelHeight = 236.0
  private static let panelGap = 62.0
  private static let footer = 58.0
  /// Raw points of one curve drawn at most.
  private static let largestCount = 2000

  /// The picture as SVG 1.1 text.
  public var svg: String {
    let plotWidth = Self.width - Self.left - Self.right
    let panelCount = Double(max(1, panels.count))
    let height = Self.heading + panelCount * Self.panelHeight + (panelCount - 1) * Self.panelGap + Self.footer
    let steps = AxisScale(
      covering: panels.flatMap { $0.series.flatMap { $0.points.map(\.x) } }, tickCount: 8, padding: 0)
    var svg = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(pixels(Self.width)) \(pixels(height))" \
      width="\(pixels(Self.width))" height="\(pixels(height))" role="img" aria-label="\(escaped(title))">
      <style>\(Self.style)</style>
      <rect class="ground" width="100%" height="100%"/>
      <text class="title" x="\(pixels(Self.left))" y="32">\(escaped(title))</text>
      <text class="quiet" x="\(pixels(Self.left))" y="51">\(escaped(subtitle))</text>

      """
    for (index, panel) in panels.enumerated() {
      let top = Self.heading + Double(index) * (Self.panelHeight + Self.panelGap)
      svg += draw(panel, steps: steps, top: top, plotWidth: plotWidth)
    }
    let middle = Self.left + plotWidth / 2
    svg += text(stepLabel, x: middle, y: height - 14, class: "label", anchor: "middle")
    return svg + "</svg>\n"
  }

  private func draw(_ panel: Panel, steps: AxisScale, top: Double, plotWidth: Double) -> String {
    let values = AxisScale(
      covering: panel.series.flatMap { $0.points.map(\.y) }, tickCount: 5, padding: 0.06)
    let plotTop = top + 22
    let plotHeight = Self.panelHeight - 22
    let bottom = plotTop + plotHeight
    func horizontal(_ step: Double) -> Double { Self.left + steps.fraction(step) * plotWidth }
    func vertical(_ value: Double) -> Double { bottom - values.fraction(value) * plotHeight }

    var svg = text(panel.title, x: Self.left, y: top + 8, class: "heading", anchor: "start")
    for tick in values.ticks {
      let y = vertical(tick)
      svg += line(from: (Self.left, y), to: (Self.left + plotWidth, y), class: "grid")
      svg += text(values.label(tick), x: Self.left - 9, y: y + 4, class: "tick", anchor: "end")
    }
    for tick in steps.ticks {
      let x = horizontal(tick)
      svg += line(from: (x, bottom), to: (x, bottom + 5), class: "axis")
      svg += text(steps.label(tick), x: x, y: bottom + 20, class: "tick", anchor: "middle")
    }
    svg += line(from: (Self.left, bottom), to: (Self.left + plotWidth, bottom), class: "axis")
    let middle = plotTop + plotHeight / 2
    svg +=
      "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(24 \(pixels(middle))) rotate(-90)\">"
      + "\(escaped(panel.label))</text>\n"
    for (index, series) in panel.series.enumerated() {
      svg += draw(series, colour: index % 4, horizontal: horizontal, vertical: vertical)
    }
    if !panel.series.contains(where: { $0.points.contains { $0.x.isFinite && $0.y.isFinite } }) {
      svg += text("no values yet", x: Self.left + plotWidth / 2, y: middle, class: "quiet", anchor: "middle")
    }
    return svg + legend(panel, y: top + 8, right: Self.left + plotWidth)
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
        // A lone point is a dot: a line of no length with round ends.
        let isLone = !continues && (index + 1 == points.count || !finite[index + 1])
        if isLone { commands += "h0" }
      }
      return commands.isEmpty ? "" : "<path class=\"\(style) colour\(colour)\" d=\"\(commands)\"/>\n"
    }
    guard window > 1 else { return path(series.points, "bold") }
    return path(Self.thinned(series.points), "faint")
      + path(Self.thinned(Self.smoothed(series.points, window: window)), "bold")
  }

  /// One text with a coloured dot before each name, since SVG cannot measure text to place separate ones.
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

  /// Steps averaged by the bold curve: 1 for a short series.
  private static func window(_ series: Series) -> Int { series.points.count < 60 ? 1 : series.points.count / 30 }

  /// The mean of the finite values in a window centred on each point, cut at the ends.
  static func smoothed(_ points: [(x: Double, y: Double)], window: Int) -> [(x: Double, y: Double)] {
    var sums = [0.0]
    var counts = [0]
    for point in points {
      sums.append(sums[sums.count - 1] + (point.y.isFinite ? point.y : 0))
      counts.append(counts[counts.count - 1] + (point.y.isFinite ? 1 : 0))
    }
    return points.indices.map { index in
      let first = max(0, index - window / 2)
      let end = min(points.count, index + window / 2 + 1)
      let count = counts[end] - counts[first]
      return (points[index].x, count > 0 ? (sums[end] - sums[first]) / Double(count) : .nan)
    }
  }

  /// At most `largestCount` points: the least and the greatest of each stretch, so that no peak is lost.
  static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    guard points.count > largestCount else { return points }
    let stretch = (2 * points.count + largestCount - 1) / largestCount
    return stride(from: 0, to: points.count, by: stretch).flatMap { start in
      let part = points[start..<min(points.count, start + stretch)].filter { $0.y.isFinite }
      let ends = [part.min { $0.y < $1.y }, part.max { $0.y < $1.y }].compactMap { $0 }
      return ends.sorted { $0.x < $1.x }
    }
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

  private static let style = """

    text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 12px; }
    .title { font-size: 19px; font-weight: 600; } .heading { font-size: 14px; font-weight: 600; }
    .title, .heading { fill: #1f2328; } .label, .quiet, .tick { fill: #59636e; }
    .tick { font-variant-numeric: tabular-nums; } .ground { fill: #ffffff; }
    path { fill: none; } .grid { stroke: #e4e7eb; } .axis { stroke: #8c959f; }
    .bold { stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
    .faint { stroke-width: 1; stroke-opacity: 0.32; stroke-linejoin: round; stroke-linecap: round; }
    .colour0 { stroke: #1668dc; } .colour1 { stroke: #d4580a; } .colour2 { stroke: #0f8a5f; } .colour3 { stroke: #a626c4; }
    .dot0 { fill: #1668dc; } .dot1 { fill: #d4580a; } .dot2 { fill: #0f8a5f; } .dot3 { fill: #a626c4; }
    @media (prefers-color-scheme: dark) {
      .title, .heading { fill: #f0f6fc; } .label, .quiet, .tick { fill: #9198a1; } .ground { fill: #0d1117; }
      .grid { stroke: #262c36; } .axis { stroke: #656c76; }
      .colour0 { stroke: #6cb0ff; } .colour1 { stroke: #ff9e57; } .colour2 { stroke: #3fcf9a; } .colour3 { stroke: #e28bf5; }
      .dot0 { fill: #6cb0ff; } .dot1 { fill: #ff9e57; } .dot2 { fill: #3fcf9a; } .dot3 { fill: #e28bf5; }
    }

    """
}
