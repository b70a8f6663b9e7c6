import Formats
import Errors
import Planning
import Reports
import Rollouts

/// The output of `quillan plan` without hosts.
enum PlanText {
  static func text(
    _ parameters: ParameterPlan, _ memory: MemoryPlan, _ traffic: TrafficPlan
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
    return """
      \(table.text)
      parameters: \(FigureText.grouped(parameters.total.parameters))
      balance biases (router state, not counted): \(FigureText.grouped(parameters.balanceBiases))

      \(uses.text)\(rest)
      """
  }

  static func json(
    _ parameters: ParameterPlan, _ memory: MemoryPlan, _ traffic: TrafficPlan, _ more: [String: JSONValue] = [:]
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
    let document: [String: JSONValue] = [
      "parameters": .integer(parameters.total.parameters), "balance_biases": .integer(parameters.balanceBiases),
      "total": .object(object(parameters.total)), "components": .list(components), "memory": .list(uses),
      "memory_bytes": .integer(memory.total), "sequences": .integer(memory.sequences),
      "micro_batch_tokens": .integer(memory.microBatchTokens), "traffic_bytes": .integer(traffic.total),
      "traffic": .list(
        traffic.rows.map { .object(["name": .text($0.name), "bytes": .integer($0.bytes)]) }),
    ]
    return JSONValue.object(document.merging(more) { $1 }).serialized + "\n"
  }
}
