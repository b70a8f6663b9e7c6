import Foundation
import Models

extension ONNXNetwork {
  /// A row per token: embedding, coordination and context. Shapes [N, d].
  struct Prefix {
    let coordination: String
    let context: String
  }

  /// Steps 1 and 2: x = embedding[token]; c = down(gelu(up(norm(x)))); x_ctx = x + overseer_scale · c.
  func prefix(_ tokens: String) throws -> Prefix {
    graph.scope = "prefix/"
    let table = try matrix(model.embedding)
    let embedded = graph.add("Gather", [table, tokens])
    let hidden = gelu(try linear(try norm(embedded, weight: "overseer.norm.weight"), "overseer.up", bias: true))
    let coordination = try linear(hidden, "overseer.down", bias: true)
    return Prefix(
      coordination: coordination,
      context: add(embedded, try scaled(coordination, by: configuration.overseerScale)))
  }

  /// Bits 0 and 1 [.., d] of type UINT8 as rows −1 and 1 [N, d].
  func signs(_ bits: String) throws -> String {
    let rows = try reshape(cast(bits, .float), [-1, configuration.dim])
    return graph.add("Sub", [try scaled(rows, by: 2), try graph.scalar(1)])
  }

  /// Adds the graph of a forward pass with its inputs and outputs.
  func buildTrunk() throws {
    let d = configuration.dim
    let ids = graph.input("input_ids", .int64, [.named("batch"), .named("sequence")])
    let bits = model.diffusion.map { _ in
      graph.input("latents", .uint8, [.named("batch"), .named("sequence"), .fixed(d)])
    }
    let pastShape: [ONNXGraph.Dimension] = [
      .named("batch"), .fixed(configuration.numHeads), .named("past"), .fixed(configuration.headDim),
    ]
    let past = (0..<configuration.numLayers).map { layer in
      ["key", "value"].map { graph.input("past_key_values.\(layer).\($0)", .float, pastShape) }
    }
    let prefix = try prefix(try reshape(ids, [-1]))
    var x = prefix.context
    if let bits {
      graph.scope = "latents/"
      let projected = try linear(try signs(bits), "diffusion.latent_out", bias: false)
      x = add(x, try scaled(projected, by: configuration.latentScale))
    }
    let places = try Places(self, ids, firstPast: past[0][0])
    for layer in 0..<configuration.numLayers {
      x = try transformerLayer(layer, x, prefix.coordination, past[layer], places)
    }
    graph.scope = "head/"
    let hidden = try norm(x, weight: "final_norm.weight")
    let format = weights.weights(model.embedding).format
    let table = try matrix(model.embedding)
    let input = try input(hidden, format)
    let product = graph.add("Gemm", [input.values, table], [.integer("transB", 1)])
    let logits = input.scale.map { multiply(product, $0) } ?? product
    let whole = graph.add(
      "Concat", [places.shape, try graph.integers([configuration.vocabSize])], [.integer("axis", 0)])
    graph.add("Reshape", [logits, whole], named: "logits")
    graph.output("logits", .float, [.named("batch"), .named("sequence"), .fixed(configuration.vocabSize)])
    let weight = try reshape(try dense("value_head.weight"), [d, 1])
    let value = add(graph.add("MatMul", [hidden, weight]), try dense("value_head.bias"))
    graph.add("Reshape", [value, places.shape], named: "value")
    graph.output("value", .float, [.named("batch"), .named("sequence")])
  }

  /// What attention computes from the positions, the same in every layer.
  struct Places {
    /// [batch, sequence] as a list.
    let shape: String
    /// cos and sin of each position's angles [sequence, head_dim / 2].
    let cosines: String
    let sines: String
    /// Which keys each query sees [sequence, past + sequence].
    let mask: String

    init(_ network: ONNXNetwork, _ ids: String, firstPast: String) throws {
      let graph = network.graph
      graph.scope = "positions/"
      shape = graph.add("Shape", [ids])
      let zero = try graph.integer(0)
      let one = try graph.integer(1)
      let count = graph.add("Gather", [shape, one])
      let past = graph.add("Gather", [graph.add("Shape", [firstPast]), try graph.integer(2)])
      let end = graph.add("Add", [past, count])
      let positions = graph.add("Range", [past, end, one])
      let keys = graph.add("Range", [zero, end, one])
      mask = graph.add(
        "LessOrEqual",
        [
          graph.add("Unsqueeze", [keys, try graph.integers([0])]),
          graph.add("Unsqueeze", [positions, try graph.integers([1])]),
        ])
      let half = network.configuration.headDim / 2
      let most = network.configuration.maxSeqLen
      let base = network.configuration.ropeBase
      let size = Double(network.configuration.headDim)
      let angles = (0..<most * half).map { place -> Double in
        let frequency: Double = pow(base, -2 * Double(place % half) / size)
        return Double(place / half) * frequency
      }
      let cosineTable = try graph.constant("rotary.cosines", [most, half], floats: angles.map { Float(cos($0)) })
      let sineTable = try graph.constant("rotary.sines", [most, half], floats: angles.map { Float(sin($0)) })
      cosines = graph.add("Gather", [cosineTable, positions])
      sines = graph.add("Gather", [sineTable, positions])
    }
  }

  private func transformerLayer(_ layer: Int, _ x: String, _ c: String, _ past: [String], _ places: Places) throws
    -> String
  {
    let name = "layers.\(layer)"
    graph.scope = "\(name)/attention/"
    let attended = try attention(layer, try norm(x, weight: "\(name).attention_norm.weight"), past, places)
    let x = add(x, attended)
    graph.scope = "\(name)/council/"
    let u = try norm(x, weight: "\(name).moe_norm.weight")
    let logits = try linear(add(u, c), "\(name).router", bias: false)
    let (chosen, gates) = try choose(logits, bias: try dense("\(name).router.bias"), configuration.miniMoeTopK)
    // One token at a time: the weights that a token picks are copied, and those of a whole prompt would not fit.
    let body = graph.body("member")
    let member = ONNXNetwork(model: model, weights: weights, storesFloats: storesFloats, graph: body)
    try member.buildCouncil(layer)
    let answers = graph.add(
      "Scan", [u, chosen, gates], [.graph("body", body.message("\(name).council")), .integer("num_scan_inputs", 3)])
    return add(x, answers)
  }

  /// Causal attention with rotary positions against past keys and values; names the layer's `present` outputs.
  private func attention(_ layer: Int, _ x: String, _ past: [String], _ places: Places) throws -> String {
    let (heads, size) = (configuration.numHeads, configuration.headDim)
    let name = "layers.\(layer).attention"
    let qkv = graph.addMany(
      "Split", [try linear(x, "\(name).qkv", bias: false)], results: 3,
      [.integer("axis", 1), .integer("num_outputs", 3)])
    let split = graph.add("Concat", [places.shape, try graph.integers([heads, size])], [.integer("axis", 0)])
    let parts = qkv.map { part in
      graph.add("Transpose", [graph.add("Reshape", [part, split])], [.integers("perm", [0, 2, 1, 3])])
    }
    let q = try rotated(parts[0], places)
    let shape: [ONNXGraph.Dimension] = [.named("batch"), .fixed(heads), .named("total"), .fixed(size)]
    for (kind, part, own) in [("key", try rotated(parts[1], places), 0), ("value", parts[2], 1)] {
      let whole = graph.add("Concat", [past[own], part], [.integer("axis", 2)])
      graph.add("Identity", [whole], named: "present.\(layer).\(kind)")
      graph.output("present.\(layer).\(kind)", .float, shape)
    }
    let keys = graph.add("Transpose", ["present.\(layer).key"], [.integers("perm", [0, 1, 3, 2])])
    let scores = try scaled(graph.add("MatMul", [q, keys]), by: 1 / Float(size).squareRoot())
    let masked = graph.add("Where", [places.mask, scores, try graph.scalar(-3e38)])
    let mixed = graph.add("MatMul", [softmax(masked), "present.\(layer).value"])
    let rows = try reshape(
      graph.add("Transpose", [mixed], [.integers("perm", [0, 2, 1, 3])]), [-1, configuration.dim])
    return try linear(rows, "\(name).out", bias: false)
  }

  /// (a cos − b sin, b cos + a sin) of the two halves of every head.
  private func rotated(_ x: String, _ places: Places) throws -> String {
    let halves = graph.addMany("Split", [x], results: 2, [.integer("axis", 3), .integer("num_outputs", 2)])
    let (a, b) = (halves[0], halves[1])
    let first = graph.add("Sub", [multiply(a, places.cosines), multiply(b, places.sines)])
    let second = add(multiply(b, places.cosines), multiply(a, places.sines))
    return graph.add("Concat", [first, second], [.integer("axis", 3)])
  }

  /// The body of the council's loop: Σ gate · MiniMoE_m(u) of one token, k mini-MoEs at once.
  private func buildCouncil(_ layer: Int) throws {
    let d = configuration.dim
    let k = configuration.miniMoeTopK
    let u = graph.input("u", .float, [.fixed(d)])
    let chosen = graph.input("chosen", .int64, [.fixed(k)])
    let gates = graph.input("gates", .float, [.fixed(k)])
    let row = try reshape(u, [1, d])
    let experts = try pick(
      try graph.add(
        "Squeeze", [graph.add("MatMul", [gathered("router", chosen), reshape(u, [d, 1])]), graph.integers([-1])]),
      "router", chosen, count: configuration.numExpertsPerMini, configuration.expertTopK)
    let hidden = gelu(try picked(try input(row, stackFormat("experts.up")), "experts.up", experts.indices))
    let answers = try picked(try input(hidden, stackFormat("experts.down")), "experts.down", experts.indices)
    let e = try mixed(answers, experts.gates, configuration.expertTopK)

    let normalized = try norm(e)
    let column = graph.add("Unsqueeze", [normalized, try graph.integers([-1])])
    let agents = try pick(
      try graph.add(
        "Squeeze", [graph.add("MatMul", [gathered("micro_router", chosen), column]), graph.integers([-1])]),
      "micro_router", chosen, count: configuration.numMicrosPerMini, configuration.microTopK)
    let norms = try reshape(
      graph.add("Gather", [try denseStack("agents.norm.weight"), agents.indices]), [k, configuration.microTopK, d])
    let inputs = try reshape(
      multiply(graph.add("Unsqueeze", [normalized, try graph.integers([1])]), norms), [-1, d])
    let small = gelu(try picked(try input(inputs, stackFormat("agents.up")), "agents.up", agents.indices))
    let refined = try picked(try input(small, stackFormat("agents.down")), "agents.down", agents.indices)
    let o = try mixed(refined, agents.gates, configuration.microTopK)

    let y = add(e, try scaled(o, by: configuration.microScale))
    let result = try sum(multiply(y, try reshape(gates, [k, 1])), axis: 0)
    graph.output(result, .float, [.fixed(d)])
  }

  /// A router's matrices of the chosen mini-MoEs [k, n, d].
  private func gathered(_ router: String, _ chosen: String) throws -> String {
    let ids = (0..<configuration.numMiniMoes).map { model.table.require("mini_moes.\($0).\(router).weight") }
    let shape = [ids.count] + model.table[ids[0]].shape
    let stored = try ONNXStack(ids: ids, weights).floats("mini_moes.\(router).weight", shape, graph)
    return graph.add("Gather", [stored, chosen])
  }

  /// Routes inside the chosen mini-MoEs: indices [k · slots] into the stack of all mini-MoEs, and gates [k, slots].
  private func pick(_ logits: String, _ router: String, _ chosen: String, count: Int, _ slots: Int) throws
    -> (indices: String, gates: String)
  {
    let biases = graph.add("Gather", [try denseStack("\(router).bias", keepsMembers: true), chosen])
    let (own, gates) = try choose(logits, bias: biases, slots)
    let first = multiply(graph.add("Unsqueeze", [chosen, try graph.integers([1])]), try graph.integer(count))
    return (try reshape(add(first, own), [-1]), gates)
  }

  /// Σ over slots of gate · rows [k · slots, d]: [k, d].
  private func mixed(_ rows: String, _ gates: String, _ slots: Int) throws -> String {
    let k = configuration.miniMoeTopK
    let stacked = try reshape(rows, [k, slots, configuration.dim])
    return try sum(multiply(stacked, graph.add("Unsqueeze", [gates, try graph.integers([-1])])), axis: 1)
  }
}
