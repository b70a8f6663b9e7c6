import Errors
import Formats
import Foundation

/// A chart of a report in HTML. The curves are an SVG that stretches to any width; the labels are text of the page, so that
/// they are readable on a phone, too. The script of the report shows the values under the pointer.
struct ChartFigure {
  struct Curve {
    let name: String
    /// The index of the colour.
    let colour: Int
    let points: [(x: Double, y: Double)]
  }

  let title: String
  let unit: String
  let curves: [Curve]
  /// Whether the mean over a window of steps is drawn for a long curve.
  let isNoisy: Bool
  /// The number of colours; further curves reuse them with dashes.
  static let colours = 8
  /// Maximum number of points drawn per raw curve.
  private static let drawn = 800
  /// Maximum number of points per curve whose values the script shows.
  private static let shown = 300

  var html: String {
    let steps = AxisScale(
      covering: curves.flatMap { $0.points.map(\.x) }, tickCount: 5, padding: 0, isWhole: true)
    let values = AxisScale(covering: curves.flatMap { $0.points.map(\.y) }, tickCount: 4, padding: 0.05)
    let labels = values.ticks.map(values.label)
    let rows = zip(values.ticks, labels).map { tick, label in
      "<span style=\"bottom:\(percent(values.fraction(tick)))\">\(HTMLText.escaped(label))</span>"
    }
    let columns = steps.ticks.map { tick in
      "<span style=\"left:\(percent(steps.fraction(tick)))\">\(HTMLText.escaped(steps.label(tick)))</span>"
    }
    let lines = values.ticks.map { tick in
      let y = height(values.fraction(tick))
      return "<path class=\"rule\" d=\"M0 \(y)H1000\"/>"
    }
    let widest = labels.max { $0.count < $1.count } ?? ""
    return """
      <figure class="chart"><figcaption>\(HTMLText.escaped(title)) <span class="unit">\(HTMLText.escaped(unit))</span>\
      </figcaption>\(legend)<div class="plot"><div class="rows"><span class="sizer">\(HTMLText.escaped(widest))</span>\
      \(rows.joined())</div><div class="area" tabindex="0"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" \
      aria-label="\(HTMLText.escaped("\(title): \(spoken)"))">\(lines.joined())\(paths(steps, values))</svg>\
      <i class="cursor"></i><div class="tip"></div></div><span class="corner">step</span><div class="columns">\
      \(columns.joined())</div></div>\(data(steps, values))</figure>
      """
  }

  /// The last value of each curve, for screen readers.
  private var spoken: String {
    curves.map { "\($0.name) \($0.points.last.map { FigureText.short($0.y) } ?? "–")" }.joined(separator: ", ")
  }

  private var legend: String {
    let entries = curves.map { curve in
      "<span><i class=\"\(style(curve))\"></i>\(HTMLText.escaped(curve.name)) "
        + "<b>\(curve.points.last.map { FigureText.short($0.y) } ?? "–")</b></span>"
    }
    let window = curves.map { self.window($0) }.max() ?? 1
    let note = window > 1 ? "<span class=\"note\">bold: mean of \(window) steps</span>" : ""
    return "<div class=\"legend\">\(entries.joined())\(note)</div>"
  }

  private func window(_ curve: Curve) -> Int { isNoisy ? CurveSmoothing.window(curve.points.count) : 1 }

  private func style(_ curve: Curve) -> String {
    "c\(curve.colour % Self.colours)" + (curve.colour < Self.colours ? "" : " dashed")
  }

  private func paths(_ steps: AxisScale, _ values: AxisScale) -> String {
    curves.map { curve in
      func path(_ points: [(x: Double, y: Double)], _ weight: String) -> String {
        var commands = ""
        for (index, point) in points.enumerated() where point.y.isFinite {
          let continues = index > 0 && points[index - 1].y.isFinite
          let isLone = !continues && (index + 1 == points.count || !points[index + 1].y.isFinite)
          commands += "\(continues ? "L" : "M")\(width(steps.fraction(point.x))) \(height(values.fraction(point.y)))"
          // A single point becomes a dot: a line of length 0 with round ends.
          if isLone { commands += "h0" }
        }
        return "<path class=\"\(weight) \(style(curve))\" d=\"\(commands)\"/>"
      }
      let window = window(curve)
      guard window > 1 else { return path(CurveSmoothing.thinned(curve.points, limit: Self.drawn), "bold") }
      let smooth = CurveSmoothing.smoothed(curve.points, window: window)
      return path(CurveSmoothing.thinned(curve.points, limit: Self.drawn), "faint")
        + path(CurveSmoothing.sampled(smooth, limit: Self.shown), "bold")
    }.joined()
  }

  /// The data for the script: the axes and, for each curve, steps and values, and means if the curve is smoothed.
  private func data(_ steps: AxisScale, _ values: AxisScale) -> String {
    let list = curves.map { curve -> JSONValue in
      let window = window(curve)
      var members: [String: JSONValue] = ["name": .text(curve.name), "style": .text(style(curve))]
      let points = CurveSmoothing.sampled(curve.points, limit: Self.shown)
      members["x"] = .list(points.map { .number($0.x) })
      members["y"] = .list(points.map { .text(FigureText.short($0.y)) })
      if window > 1 {
        let means = CurveSmoothing.sampled(
          CurveSmoothing.smoothed(curve.points, window: window), limit: Self.shown)
        members["mean"] = .list(means.map { .text(FigureText.short($0.y)) })
      }
      return .object(members)
    }
    return HTMLText.data(
      .object(["from": .number(steps.lowest), "to": .number(steps.highest), "curves": .list(list)]))
  }

  private func percent(_ share: Double) -> String { FigureText.fixed(share * 100, 2) + "%" }
  private func width(_ share: Double) -> String { Self.coordinate(share * 1000) }
  private func height(_ share: Double) -> String { Self.coordinate(1000 - share * 1000) }

  private static func coordinate(_ value: Double) -> String {
    let text = FigureText.fixed(value, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
