import Formats
import Configuration
import Errors
import Planning
import Reports
import Rollouts

/// The output of `quillan plan --hosts`.
struct ClusterText {
  private let configuration: RunConfiguration
  private let parameters: ParameterPlan
  private let cluster: ClusterDescription
  private let search: LayoutSearch
  private let calibration: Calibration
  /// Number of layouts shown.
  private static let shown = 10

  init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, _ cluster: ClusterDescription,
    _ search: LayoutSearch, _ calibration: Calibration
  ) {
    self.configuration = configuration
    self.parameters = parameters
    self.cluster = cluster
    self.search = search
    self.calibration = calibration
  }

  private func seconds(_ value: Double) -> String { FigureText.fixed(value, value < 1 ? 4 : value < 100 ? 2 : 0) }

  var text: String {
    var text = "\(hosts)\n"
    if let best = search.choices.first { text += "\n\(detail(best))\n\(choices)" }
    text += "\n\(rejections)\n\(rates)"
    return text
  }

  private var hosts: String {
    "\(FigureText.grouped(parameters.total.parameters)) parameters; \(FigureText.count(cluster.hosts, "host")) with "
      + "\(FigureText.count(cluster.cores, "core")) and \(FigureText.bytes(cluster.memory)) each, links of "
      + "\(FigureText.fixed(cluster.link / 1.25e8, 1)) Gbit/s and \(FigureText.fixed(cluster.latency * 1e6, 1)) µs"
  }

  /// The details of one layout.
  private func detail(_ choice: LayoutSearch.Choice) -> String {
    let plan = choice.plan
    var memory = Table(["memory of a rank", "bytes", ""], alignments: [.left, .right, .left])
    for row in plan.memory.rows {
      memory.add([row.name, FigureText.bytes(row.bytes), row.isEstimate ? "estimate" : ""])
    }
    memory.add(["total", FigureText.bytes(plan.memory.total), ""])
    var traffic = Table(["sent in a step", "by a rank", "by the ranks of a host", "over the host's link"])
    for row in plan.traffic.rows {
      traffic.add([
        row.name, FigureText.bytes(row.bytes), FigureText.bytes(row.hostBytes), FigureText.bytes(row.linkBytes),
      ])
    }
    var time = Table(["time of a step", "seconds", "share"])
    for row in plan.rows {
      time.add([row.name, seconds(row.seconds), "\(FigureText.fixed(100 * row.seconds / plan.seconds, 0)) %"])
    }
    time.add(["total", seconds(plan.seconds), ""])
    let layout = plan.layout
    return """
      fastest: \(LayoutSearch.name(layout.ranksPerHost)), parallel.expert \(layout.expert), \
      \(FigureText.count(layout.threads, "thread")) per rank, micro-batches of \(plan.memory.microBatchTokens) \
      tokens\(steps(choice))

      \(memory.text)
      \(plan.traffic.rows.isEmpty ? "" : "\(traffic.text)\n")\(time.text)
      \(FigureText.grouped(plan.tokensPerSecond)) tokens/s on \(FigureText.count(layout.ranks, "rank")), \
      \(FigureText.fixed(choice.efficiency, 2)) of the rate of as many independent ranks

      """
  }

  private func steps(_ choice: LayoutSearch.Choice) -> String {
    configuration.parallel.reproducible ? "" : " (rl.accumulation_steps \(choice.layout.accumulationSteps))"
  }

  private var choices: String {
    var table = Table([
      "ranks per host", "P", "threads", "micro-batch tokens", "accumulation", "memory", "step", "messages",
      "efficiency",
    ])
    for choice in search.choices.prefix(Self.shown) {
      let (layout, plan) = (choice.layout, choice.plan)
      table.add([
        "\(layout.ranksPerHost)", "\(layout.expert)", "\(layout.threads)",
        FigureText.grouped(plan.memory.microBatchTokens),
        configuration.parallel.reproducible ? "" : "\(layout.accumulationSteps)",
        FigureText.bytes(plan.memory.total), "\(seconds(plan.seconds)) s",
        "\(FigureText.fixed(100 * plan.messageSeconds / plan.seconds, 0)) %", FigureText.fixed(choice.efficiency, 2),
      ])
    }
    let more = search.choices.count - Self.shown
    return table.text + (more > 0 ? "and \(FigureText.count(more, "slower layout"))\n" : "")
  }

  private var rejections: String {
    var table = Table(["ruled out", "reason"], alignments: [.left, .left])
    for rejection in search.rejections { table.add([rejection.layouts, rejection.reason]) }
    return table.text
  }

  private var rates: String {
    let rest = [
      "the ranks of a host may use \(FigureText.fixed(100 * LayoutSearch.usableMemory, 0)) % of its memory",
      "threads scale perfectly, mini-MoEs have equal loads, completions have the maximum length",
    ]
    let lines =
      calibration.measured.map { "measured  \($0)" } + (calibration.assumed + rest).map { "assumed   \($0)" }
    return lines.map { $0 + "\n" }.joined()
  }

  var json: String {
    JSONValue.object([
      "parameters": .integer(parameters.total.parameters),
      "hosts": .integer(cluster.hosts), "cores": .integer(cluster.cores), "memory_bytes": .integer(cluster.memory),
      "link_bytes_per_second": .number(cluster.link), "latency_seconds": .number(cluster.latency),
      "layouts": .list(search.choices.map(object)),
      "ruled_out": .list(
        search.rejections.map { .object(["layouts": .text($0.layouts), "reason": .text($0.reason)]) }),
      "measured": .list(calibration.measured.map(JSONValue.text)),
      "assumed": .list(calibration.assumed.map(JSONValue.text)),
    ]).serialized + "\n"
  }

  private func object(_ choice: LayoutSearch.Choice) -> JSONValue {
    let (layout, plan) = (choice.layout, choice.plan)
    return .object([
      "ranks": .integer(layout.ranks), "ranks_per_host": .integer(layout.ranksPerHost),
      "expert": .integer(layout.expert), "threads": .integer(layout.threads),
      "accumulation_steps": .integer(layout.accumulationSteps),
      "micro_batch_tokens": .integer(plan.memory.microBatchTokens), "rank_bytes": .integer(plan.memory.total),
      "seconds": .number(plan.seconds), "efficiency": .number(choice.efficiency),
      "tokens_per_second": .number(plan.tokensPerSecond),
      "phases": .list(plan.rows.map { .object(["name": .text($0.name), "seconds": .number($0.seconds)]) }),
      "memory": .list(plan.memory.rows.map { .object(["name": .text($0.name), "bytes": .integer($0.bytes)]) }),
      "traffic": .list(
        plan.traffic.rows.map {
          .object([
            "name": .text($0.name), "rank_bytes": .integer($0.bytes), "host_bytes": .integer($0.hostBytes),
            "link_bytes": .integer($0.linkBytes),
          ])
        }),
    ])
  }
}
