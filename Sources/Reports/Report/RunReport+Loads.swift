import Errors
import Rollouts
import Formats

/// Loads of the council as heat maps with named rows.
extension RunReport {
  var loads: String {
    runs.compactMap { run -> String? in
      let maps = [
        map("Mini-MoEs: slots over all layers", run.miniMoELoads, highest: 2.5, run, "1 is an even distribution"),
        map(
          "Experts of each mini-MoE", run.expertLoads, highest: 2.5, run,
          "1 is an even distribution within the mini-MoE"),
        map("Micro agents that a step chose", run.microAgentsUsed, highest: 1, run, "share of a mini-MoE's agents"),
      ].compactMap { $0 }
      return maps.isEmpty ? nil : heading(run) + "<div class=\"charts maps\">\(maps.joined())</div>"
    }.joined()
  }

  private func map(
    _ title: String, _ groups: [RunContent.LoadGroup], highest: Double, _ run: RunContent, _ meaning: String
  ) -> String? {
    guard !groups.isEmpty else { return nil }
    let rows = groups.map(\.rows.count).reduce(0, +)
    let height = max(2, min(18, 420 / rows))
    // A label needs about 14 pixels.
    let every = max(1, (14 + height - 1) / height)
    let steps = run.loadSteps
    var columns = 0
    let bodies = groups.map { group in
      let image = HeatMap(values: group.values, highest: highest)
      columns = image.columns
      let names = group.rows.enumerated().filter { $0.offset % every == 0 }.map { index, name in
        "<span style=\"top:\(index * height)px\">\(HTMLText.escaped(name))</span>"
      }
      let label = group.name.isEmpty ? "" : "<div class=\"group\">\(HTMLText.escaped(group.name))</div>"
      return """
        \(label)<div class="names" style="height:\(group.rows.count * height)px">\(names.joined())</div>\
        <img alt="\(HTMLText.escaped("\(title) \(group.name)")), \(FigureText.count(group.rows.count, "row")), steps \
        \(steps.first ?? 0) to \(steps.last ?? 0)" src="\(image.source)" style="height:\(group.rows.count * height)px">
        """
    }
    let scale = (0...8).map { "<i style=\"background:\(HeatMap.css(Double($0) / 8))\"></i>" }.joined()
    let top = highest == 1 ? "1" : "\(FigureText.fixed(highest, 1)) or more"
    return """
      <figure class="map"><figcaption>\(HTMLText.escaped(title)) <span class="unit">\(HTMLText.escaped(meaning))</span>\
      </figcaption><div class="heat">\(bodies.joined())<span class="corner">step</span><div class="ends">\
      <span>\(FigureText.grouped(steps.first ?? 0))</span><span>\(FigureText.grouped(steps.last ?? 0))</span></div>\
      <div class="tip"></div></div><div class="scale"><span>0</span>\(scale)<span>\(top)</span></div>\
      \(data(groups, columns: columns, steps: steps, highest: highest))</figure>
      """
  }

  /// The data from which the script names the cell under the pointer.
  private func data(_ groups: [RunContent.LoadGroup], columns: Int, steps: [Int], highest: Double) -> String {
    let rows = groups.map { group in
      JSONValue.list(group.rows.map { .text(group.name.isEmpty ? $0 : "\(group.name), \($0)") })
    }
    let stretch = HeatMap.stretch(steps.count)
    let firsts = stride(from: 0, to: steps.count, by: stretch).map { JSONValue.integer(steps[$0]) }
    return HTMLText.data(
      .object([
        "rows": .list(rows), "columns": .integer(columns), "steps": .list(firsts), "highest": .number(highest),
        "offset": .integer(HeatMap.firstPixel),
      ]))
  }
}
