import ArgumentParser
import Foundation
import Rollouts
import Training

/// `quillan plan`: what a configuration costs, without allocating it.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract:
      "Report a configuration's parameters by component, and memory and traffic of a rank, without allocating them.",
    discussion: """
      'packed' counts the bytes that products read (codes, scales, padding); 'information' the bits that the values \
      can hold. Activations and the key-value cache are estimates for the longest prompts.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Ranks that share the work.", valueName: "n"))
  var ranks = 1

  @Option(help: ArgumentHelp("Tokens of a prompt, for the estimates (default: data.max_prompt_len).", valueName: "n"))
  var promptLength: Int?

  @Flag(
    help: """
      Also predict how long a step's update takes: runs a part of the model on this machine, with the threads of a rank.
      """)
  var measure = false

  @Option(help: ArgumentHelp("10⁹ bytes a second that a rank sends, for --measure.", valueName: "gigabytes"))
  var bandwidth = 2.4

  @Flag(help: "Print one JSON object instead of tables.")
  var json = false

  func validate() throws {
    if !(1...1_000_000).contains(ranks) { throw ValidationError("--ranks must be from 1 to 1000000, got \(ranks)") }
    if !(1e-6...1e6).contains(bandwidth) {
      throw ValidationError("--bandwidth must be from 0.000001 to 1000000, got \(bandwidth)")
    }
    if let promptLength, !(1...16_777_216).contains(promptLength) {
      throw ValidationError("--prompt-length must be from 1 to 16777216, got \(promptLength)")
    }
  }

  func run() throws {
    let configuration = try options.load()
    for warning in configuration.warnings { CommandLog.logger.warning("\(warning)") }
    guard ranks.isMultiple(of: max(1, configuration.parallel.expert)) else {
      throw CommandError(
        .usage,
        "--ranks \(ranks) cannot be divided into expert groups of parallel.expert \(configuration.parallel.expert)")
    }
    let parameters = try ParameterPlan(configuration.model, configuration.precision)
    let promptLength = promptLength ?? configuration.data.maxPromptLen
    let memory = MemoryPlan(configuration, parameters, ranks: ranks, promptLength: promptLength)
    let length = promptLength + configuration.objective.maxTrajectoryLen
    let (product, overflow) = memory.sequences.multipliedReportingOverflow(by: length)
    let tokens = overflow ? Int.max : product
    let traffic = TrafficPlan(configuration, parameters, ranks: ranks, tokens: tokens)
    guard measure else {
      return try StandardOutput.write(
        json ? Self.json(parameters, memory, traffic, nil) : Self.text(parameters, memory, traffic, nil))
    }
    CommandRunner.onRanks { communicator in
      guard communicator.size == 1 else {
        throw CommandError(.usage, "plan --measure runs on one rank: start it without mpirun")
      }
      let time = try TimePlan(
        configuration, parameters, traffic: traffic, tokens: tokens, sequenceLength: length,
        bandwidth: bandwidth * 1e9, threads: try communicator.threads(configured: configuration.parallel.threads),
        communicator: communicator)
      try StandardOutput.write(
        json ? Self.json(parameters, memory, traffic, time) : Self.text(parameters, memory, traffic, time))
      return .done
    }
  }

  private static func text(
    _ parameters: ParameterPlan, _ memory: MemoryPlan, _ traffic: TrafficPlan, _ time: TimePlan?
  ) -> String {
    var table = Table(
      ["component", "parameters", "share", "formats", "fp32", "packed", "information"],
      alignments: [.left, .right, .right, .left, .right, .right, .right])
    func add(_ name: String, _ row: ParameterPlan.Row) {
      let share = 100 * Double(row.parameters) / Double(parameters.total.parameters)
      table.add([
        name, FigureText.grouped(row.parameters), "\(FigureText.fixed(share, 2)) %",
        row.formats.map(\.rawValue).joined(separator: ", "), FigureText.bytes(row.fp32Bytes),
        FigureText.bytes(row.packedBytes), FigureText.bytes(Int((row.informationBits / 8).rounded(.up))),
      ])
    }
    for component in parameters.components {
      add(component.component, component)
      for part in parameters.parts where part.component == component.component {
        if let name = part.part { add("  \(name)", part) }
      }
    }
    add("total", parameters.total)
    var uses = Table(["memory of a rank", "bytes", ""], alignments: [.left, .right, .left])
    for row in memory.rows { uses.add([row.name, FigureText.bytes(row.bytes), row.isEstimate ? "estimate" : ""]) }
    uses.add(["total", FigureText.bytes(memory.total), ""])
    var rest = ""
    if !traffic.rows.isEmpty {
      var sent = Table(["sent by a rank in a step", "bytes"], alignments: [.left, .right])
      for row in traffic.rows { sent.add([row.name, FigureText.bytes(row.bytes)]) }
      sent.add(["total", FigureText.bytes(traffic.total)])
      rest += "\n\(sent.text)"
    }
    if let time {
      var clock = Table(["time of a step's update", "seconds"], alignments: [.left, .right])
      for (name, seconds) in [
        ("forward and backward", time.passes), ("reduction, optimizer, packing", time.update),
        ("sending", time.traffic), ("total", time.total),
      ] { clock.add([name, FigureText.fixed(seconds, 2)]) }
      rest +=
        "\n\(clock.text)\nfrom \(time.measuredMiniMoEs) mini-MoEs and \(time.measuredTokens) tokens on this machine\n"
    }
    return """
      \(table.text)
      parameters: \(FigureText.grouped(parameters.total.parameters))
      balance biases (router state, not counted): \(FigureText.grouped(parameters.balanceBiases))

      \(uses.text)\(rest)
      """
  }

  private static func json(
    _ parameters: ParameterPlan, _ memory: MemoryPlan, _ traffic: TrafficPlan, _ time: TimePlan?
  ) -> String {
    func object(_ row: ParameterPlan.Row) -> [String: JSONValue] {
      [
        "parameters": .integer(row.parameters), "formats": .list(row.formats.map { .text($0.rawValue) }),
        "fp32_bytes": .integer(row.fp32Bytes), "packed_bytes": .integer(row.packedBytes),
        "information_bits": .number(row.informationBits),
      ]
    }
    let components = parameters.components.map { component in
      let parts = parameters.parts.filter { $0.component == component.component && $0.part != nil }
      return JSONValue.object(
        object(component).merging([
          "name": .text(component.component),
          "parts": .list(parts.map { .object(object($0).merging(["name": .text($0.part ?? "")]) { $1 }) }),
        ]) { $1 })
    }
    let uses = memory.rows.map { row in
      JSONValue.object(["name": .text(row.name), "bytes": .integer(row.bytes), "estimate": .bool(row.isEstimate)])
    }
    var document: [String: JSONValue] = [
      "parameters": .integer(parameters.total.parameters), "balance_biases": .integer(parameters.balanceBiases),
      "total": .object(object(parameters.total)), "components": .list(components), "memory": .list(uses),
      "memory_bytes": .integer(memory.total), "sequences": .integer(memory.sequences),
      "micro_batch_tokens": .integer(memory.microBatchTokens), "traffic_bytes": .integer(traffic.total),
      "traffic": .list(
        traffic.rows.map { .object(["name": .text($0.name), "bytes": .integer($0.bytes)]) }),
    ]
    if let time {
      document["seconds"] = .object([
        "passes": .number(time.passes), "update": .number(time.update), "traffic": .number(time.traffic),
        "total": .number(time.total),
      ])
    }
    return JSONValue.object(document).serialized + "\n"
  }
}
