import Errors
import Foundation
import Rollouts

/// The heading and overview of a report: the runs, their states and their results.
extension RunReport {
  /// The evaluations that measure the quality of a run.
  private static let measures: [(title: String, metric: String, lowIsGood: Bool)] = [
    ("Held-out pass rate", "eval/pass_rate", false), ("Held-out exact match", "eval/exact_match", false),
    ("Held-out reward", "eval/reward", false),
    ("Held-out bits per byte", "eval/bits_per_byte", true),
  ]

  var heading: String {
    if runs.count > 1 { return "<p class=\"brand\">Quillan</p><h1>\(runs.count) runs compared</h1>" }
    let run = runs[0]
    return "<p class=\"brand\">Quillan · \(kind(run))</p><h1>\(Self.breakable(run.name))</h1>"
      + "<p class=\"state\">\(badge(run)) \(HTMLText.escaped(standing(run)))</p>"
  }

  var overview: String { runs.count == 1 ? single(runs[0]) : table }

  private func single(_ run: RunContent) -> String {
    let tiles = Self.measures.compactMap { measure -> String? in
      guard let progress = run.progress(measure.metric, lowIsGood: measure.lowIsGood) else { return nil }
      let before = progress.first.map { "\(FigureText.fixed($0, 3)) → " } ?? ""
      return tile(measure.title, before + FigureText.fixed(progress.last.value, 3), Self.best(progress))
    }
    let list = facts(run).map { "<div><dt>\($0)</dt><dd>\(HTMLText.escaped($1))</dd></div>" }.joined()
    return "<div class=\"tiles\">\(tiles.joined())</div><dl class=\"facts\">\(list)</dl>"
  }

  private func tile(_ title: String, _ value: String, _ note: String) -> String {
    "<div class=\"tile\"><span>\(title)</span><b>\(value)</b><small>\(note)</small></div>"
  }

  private static func best(_ progress: RunContent.Progress) -> String {
    "best \(FigureText.fixed(progress.best.value, 3)) at step \(FigureText.grouped(progress.best.step))"
  }

  /// The overview of several runs: one row per fact, one column per run.
  private var table: String {
    var table = HTMLText.Table([""] + runs.map(\.name), style: "keys facts-table")
    table.add(html: ["state"] + runs.map { badge($0) })
    table.add(["method"] + runs.map(kind))
    for measure in Self.measures {
      let all = runs.map { $0.progress(measure.metric, lowIsGood: measure.lowIsGood) }
      guard all.contains(where: { $0 != nil }) else { continue }
      let name = measure.title.lowercased()
      table.add(
        [name]
          + all.map { progress in
            guard let progress else { return "–" }
            return (progress.first.map { "\(FigureText.fixed($0, 3)) → " } ?? "")
              + FigureText.fixed(progress.last.value, 3)
          })
      table.add(["best \(name)"] + all.map { $0.map { String(Self.best($0).dropFirst(5)) } ?? "–" })
    }
    let lists = runs.map { facts($0) }
    for (index, fact) in lists[0].enumerated() {
      table.add([fact.name] + lists.map { $0[index].value })
    }
    return table.html
  }

  /// Further facts, in the same order for every run.
  private func facts(_ run: RunContent) -> [(name: String, value: String)] {
    let speeds = run.points("tokens_per_second").map(\.y).sorted()
    let session = run.sessions.last?.start
    func last(_ metric: String) -> Double? { run.points(metric).last?.y }
    let steps =
      FigureText.grouped(run.lastStep)
      + (run.totalSteps.map { $0 == run.lastStep ? "" : " of \(FigureText.grouped($0))" } ?? "")
    // If one run has rewards, all rows show rewards: losses of the two kinds of runs are not comparable.
    let figure = runs.contains(where: \.isReinforcement) ? "last reward" : "last loss"
    let resumed = run.sessions.count > 1 ? " in \(run.sessions.count) sessions" : ""
    let layout = session.map {
      FigureText.count($0.ranks, "rank") + ", \(FigureText.count($0.threads, "thread")) each"
    }
    return [
      ("steps", steps),
      ("started", run.started.map(Self.text) ?? "not recorded"),
      ("duration", run.seconds.map { FigureText.duration($0) + resumed } ?? "–"),
      ("ranks", layout ?? "not recorded"),
      ("parameters", session.map { FigureText.grouped($0.parameters) } ?? "not recorded"),
      (figure, last(figure == "last reward" ? "reward" : "loss").map(FigureText.short) ?? "–"),
      ("median tokens/s", speeds.isEmpty ? "–" : FigureText.grouped(speeds[speeds.count / 2].rounded())),
      ("peak memory of a rank", last("memory/peak_bytes").map { FigureText.bytes(Int($0)) } ?? "–"),
      ("version", session.map { "Quillan \($0.program)" } ?? "not recorded"),
      ("folder", run.path),
    ]
  }

  private func kind(_ run: RunContent) -> String { run.isReinforcement ? "reinforcement learning" : "pre-training" }

  private func badge(_ run: RunContent) -> String {
    switch run.state {
    case .finished: "<span class=\"badge good\">finished</span>"
    case .stopped: "<span class=\"badge warn\">stopped early</span>"
    case .failed: "<span class=\"badge bad\">failed</span>"
    case .open: "<span class=\"badge warn\">not finished</span>"
    }
  }

  /// The state of a run in words.
  private func standing(_ run: RunContent) -> String {
    let place =
      "step \(FigureText.grouped(run.lastStep))" + (run.totalSteps.map { " of \(FigureText.grouped($0))" } ?? "")
    let written = run.lastWritten.map { ", last written on \(Self.text($0))" } ?? ""
    switch run.state {
    case .finished:
      let early = run.totalSteps.map { $0 > run.lastStep } ?? false
      return early ? "at \(place), since the goal was reached" : "after \(FigureText.count(run.lastStep, "step"))"
    case .stopped: return "by a signal at \(place); --resume auto continues the run"
    case .failed: return "at \(place)"
    case .open: return "at \(place): no end is recorded, so the run is in progress or was killed\(written)"
    }
  }

  /// A name in HTML with possible line breaks after '-', '_', '.' and '/'.
  static func breakable(_ name: String) -> String {
    var result = ""
    for character in name {
      result += HTMLText.escaped(String(character))
      if "-_./".contains(character) { result += "<wbr>" }
    }
    return result
  }
}
