import ArgumentParser
import Foundation
import Rollouts
import Training

/// `quillan plan`: what a configuration costs, without allocating it.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Report a configuration's parameters by component and the memory of a rank, without allocating them.",
    discussion: """
      'packed' counts the bytes that products read (codes, scales, padding); 'information' the bits that the values \
      can hold. Activations and the key-value cache are estimates for the longest prompts.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Ranks that share the work.", valueName: "n"))
  var ranks = 1

  @Option(help: ArgumentHelp("Tokens of a prompt, for the estimates (default: data.max_prompt_len).", valueName: "n"))
  var promptLength: Int?

  @Flag(help: "Print one JSON object instead of tables.")
  var json = false

  func validate() throws {
    if !(1...1_000_000).contains(ranks) { throw ValidationError("--ranks must be from 1 to 1000000, got \(ranks)") }
    if let promptLength, !(1...16_777_216).contains(promptLength) {
      throw ValidationError("--prompt-length must be from 1 to 16777216, got \(promptLength)")
    }
  }

  func run() throws {
    let configuration = try options.load()
    for warning in configuration.warnings { CommandLog.logger.warning("\(warning)") }
    let parameters = try ParameterPlan(configuration.model, configuration.precision)
    let memory = MemoryPlan(
      configuration, parameters, ranks: ranks, promptLength: promptLength ?? configuration.data.maxPromptLen)
    try StandardOutput.write(json ? Self.json(parameters, memory) : Self.text(parameters, memory))
  }

  private static func text(_ parameters: ParameterPlan, _ memory: MemoryPlan) -> String {
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
    return """
      \(table.text)
      parameters: \(FigureText.grouped(parameters.total.parameters))
      balance biases (router state, not counted): \(FigureText.grouped(parameters.balanceBiases))

      \(uses.text)
      """
  }

  private static func json(_ parameters: ParameterPlan, _ memory: MemoryPlan) -> String {
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
    let document = JSONValue.object([
      "parameters": .integer(parameters.total.parameters), "balance_biases": .integer(parameters.balanceBiases),
      "total": .object(object(parameters.total)), "components": .list(components), "memory": .list(uses),
      "memory_bytes": .integer(memory.total), "sequences": .integer(memory.sequences),
      "micro_batch_tokens": .integer(memory.microBatchTokens),
    ])
    return document.serialized + "\n"
  }
}
