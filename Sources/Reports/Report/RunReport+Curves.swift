import Rollouts

/// The curves of a report. Pre-training and reinforcement learning runs have separate charts, since their losses are
/// different quantities and their steps are not comparable.
extension RunReport {
  private struct Chart {
    let title: String
    let unit: String
    let metrics: [String]
    /// Whether the mean over a window of steps is drawn for a long curve.
    var isNoisy = true
  }

  /// Charts by subject. Charts without values are omitted.
  private static let subjects: [(title: String, charts: [Chart])] = [
    (
      "Results",
      [
        Chart(title: "Held-out pass rate", unit: "share", metrics: ["eval/pass_rate"]),
        Chart(title: "Held-out exact match", unit: "share", metrics: ["eval/exact_match"]),
        Chart(title: "Held-out reward", unit: "mean", metrics: ["eval/reward"]),
        Chart(title: "Held-out bits per byte", unit: "bits", metrics: ["eval/bits_per_byte"]),
        Chart(title: "Reward", unit: "mean", metrics: ["reward"]),
        Chart(title: "Uniform groups (all rewards equal)", unit: "share", metrics: ["frac_reward_zero_std"]),
        Chart(title: "Completion length", unit: "tokens", metrics: ["completions/mean_length"]),
        Chart(title: "Completions at the length limit", unit: "share", metrics: ["completions/clipped_ratio"]),
      ]
    ),
    (
      "Policy",
      [
        Chart(title: "Entropy", unit: "nats", metrics: ["entropy"]),
        Chart(title: "KL to π_old", unit: "nats", metrics: ["kl"]),
        Chart(title: "KL to the reference", unit: "nats", metrics: ["loss/kl_reference"]),
        Chart(title: "Clipped ratios", unit: "share", metrics: ["clip_ratio/low", "clip_ratio/high"]),
      ]
    ),
    (
      "Losses",
      [
        Chart(title: "Total loss", unit: "loss", metrics: ["loss"]),
        Chart(title: "Policy loss", unit: "loss", metrics: ["loss/policy"]),
        Chart(title: "Cross-entropy", unit: "nats per token", metrics: ["loss/cross_entropy"]),
        Chart(title: "Diffusion loss", unit: "nats per bit", metrics: ["loss/diffusion"]),
        Chart(title: "Latent accuracy", unit: "share of bits predicted", metrics: ["latent/accuracy"]),
        Chart(title: "Balance loss", unit: "loss", metrics: ["loss/aux"]),
        Chart(title: "Value loss", unit: "loss", metrics: ["loss/value"]),
      ]
    ),
    (
      "Optimizer",
      [
        Chart(title: "Gradient norm", unit: "norm", metrics: ["grad_norm"]),
        Chart(title: "Learning rate", unit: "rate", metrics: ["learning_rate"], isNoisy: false),
        Chart(title: "Entropy coefficient", unit: "weight", metrics: ["entropy_coef"], isNoisy: false),
      ]
    ),
    (
      "Speed and memory",
      [
        Chart(title: "Throughput", unit: "tokens/s", metrics: ["tokens_per_second"]),
        Chart(title: "Time per step", unit: "s", metrics: ["step_time"]),
        Chart(title: "Peak memory of the largest rank", unit: "MiB", metrics: ["memory/peak_bytes"], isNoisy: false),
      ]
    ),
  ]

  var figures: String {
    let kinds = [false, true].filter { kind in runs.contains { $0.isReinforcement == kind } }
    return kinds.map { kind in
      let part = runs.indices.filter { runs[$0].isReinforcement == kind }
      let name = kinds.count > 1 ? (kind ? "Reinforcement learning: " : "Pre-training: ") : ""
      return Self.subjects.enumerated().map { index, subject in
        let charts = subject.charts + (index == 0 ? rewardTerms(part) : [])
        let drawn = charts.compactMap { figure($0, part)?.html }
        return drawn.isEmpty ? "" : "<h3>\(name)\(subject.title)</h3><div class=\"charts\">\(drawn.joined())</div>"
      }.joined()
    }.joined()
  }

  /// Charts of each reward term, if there are several, and of evaluations on further tasks.
  private func rewardTerms(_ part: [Int]) -> [Chart] {
    let terms = Set(part.flatMap { runs[$0].metrics(prefix: "rewards/") }).sorted()
    let known = Set(Self.subjects.flatMap(\.charts).flatMap(\.metrics)).union([
      "eval/mean_length", "eval/cross_entropy",
    ])
    let further = Set(part.flatMap { runs[$0].metrics(prefix: "eval/") }).subtracting(known).sorted()
    return (terms.count > 1 ? terms : []).map { Chart(title: $0, unit: "mean", metrics: [$0]) }
      + further.map { Chart(title: $0, unit: "", metrics: [$0]) }
  }

  private func figure(_ chart: Chart, _ part: [Int]) -> ChartFigure? {
    var curves: [ChartFigure.Curve] = []
    for index in part {
      for (number, metric) in chart.metrics.enumerated() {
        let points = runs[index].points(metric).map { ($0.x, chart.unit == "MiB" ? $0.y / 1_048_576 : $0.y) }
        guard points.count > 1 else { continue }
        let names = [
          part.count > 1 ? runs[index].name : nil,
          chart.metrics.count > 1 ? metric.split(separator: "/").last.map(String.init) : nil,
        ].compactMap { $0 }
        curves.append(
          ChartFigure.Curve(
            name: names.isEmpty ? "last" : names.joined(separator: " "),
            colour: index * chart.metrics.count + number, points: points))
      }
    }
    guard !curves.isEmpty else { return nil }
    return ChartFigure(title: chart.title, unit: chart.unit, curves: curves, isNoisy: chart.isNoisy)
  }
}
