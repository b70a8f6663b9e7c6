import CKernels
import Foundation
import LowBit
import Models
import Parameters

/// The parts of the network as ONNX operators, from packed weights.
///
/// Shapes: N rows, d model, S matrices of a stack. Weights keep their number formats: ternary and int4 as INT4 with
/// DequantizeLinear (per row, or per block of `int4_group` inputs), int8 as INT8, fp16 and bf16 as themselves; stacks
/// from which a token picks its experts keep int4 two to a byte, because no operator gathers INT4. With
/// `storesFloats`, every weight is the fp32 value in use. A8 activations are computed as the model defines them in both.
struct ONNXNetwork {
  let model: QuillanModel
  let weights: PackedModel
  let storesFloats: Bool
  let graph: ONNXGraph

  var configuration: ModelConfiguration { model.configuration }

  /// The rows of a product's input, and the scale by which the product's rows are then multiplied.
  struct Input {
    let values: String
    let scale: String?
  }

  // MARK: Elementwise

  func add(_ a: String, _ b: String) -> String { graph.add("Add", [a, b]) }
  func multiply(_ a: String, _ b: String) -> String { graph.add("Mul", [a, b]) }
  func scaled(_ x: String, by factor: Float) throws -> String { multiply(x, try graph.scalar(factor)) }
  func gelu(_ x: String) -> String { graph.add("Gelu", [x], [.text("approximate", "none")]) }
  func cast(_ x: String, _ type: Onnx_TensorProto.DataType) -> String { graph.add("Cast", [x], [.type("to", type)]) }
  func softmax(_ x: String) -> String { graph.add("Softmax", [x], [.integer("axis", -1)]) }

  func reshape(_ x: String, _ shape: [Int]) throws -> String {
    graph.add("Reshape", [x, try graph.integers(shape)])
  }

  func sum(_ x: String, axis: Int, keeps: Bool = false) throws -> String {
    graph.add("ReduceSum", [x, try graph.integers([axis])], [.integer("keepdims", keeps ? 1 : 0)])
  }

  /// x / sqrt(mean(x²) + ε) · w over the last dimension.
  func norm(_ x: String, weight name: String? = nil) throws -> String {
    let mean = graph.add("ReduceMean", [multiply(x, x), try graph.integers([-1])])
    let root = graph.add("Sqrt", [add(mean, try graph.scalar(configuration.normEps))])
    let normalized = graph.add("Div", [x, root])
    return try name.map { multiply(normalized, try dense($0)) } ?? normalized
  }

  // MARK: Parameters

  /// An fp32 parameter under its own name.
  func dense(_ name: String) throws -> String {
    let id = model.table.require(name)
    let values = UnsafeRawBufferPointer(start: weights.values(id), count: 4 * model.table[id].count)
    return try graph.constant(name, .float, model.table[id].shape, byteCount: values.count) { try $0(values) }
  }

  /// An fp32 parameter of all mini-MoEs, concatenated: [M · first, …], or [M, …] with `keepsMembers`.
  func denseStack(_ part: String, keepsMembers: Bool = false) throws -> String {
    let ids = (0..<configuration.numMiniMoes).map { model.table.require("mini_moes.\($0).\(part)") }
    let own = model.table[ids[0]].shape
    let shape = keepsMembers ? [ids.count] + own : [ids.count * own[0]] + own.dropFirst()
    return try graph.constant("mini_moes.\(part)", .float, shape, byteCount: 4 * shape.reduce(1, *)) { sink in
      for id in ids {
        try sink(UnsafeRawBufferPointer(start: weights.values(id), count: 4 * model.table[id].count))
      }
    }
  }

  private func format(_ id: ParameterID) -> NumberFormat { weights.weights(id).format }

  // MARK: Products

  /// Rounds or quantises rows for products with weights of a format; A8 gives whole numbers and their scale.
  func input(_ x: String, _ format: NumberFormat) throws -> Input {
    switch format {
    case .fp32, .fp16: return Input(values: x, scale: nil)
    case .bf16: return Input(values: cast(cast(x, .bfloat16), .float), scale: nil)
    case .ternary, .int4, .int8:
      let largest = graph.add(
        "ReduceMax", [graph.add("Abs", [x]), try graph.integers([-1])], [.integer("keepdims", 1)])
      let scale = graph.add(
        "Div", [graph.add("Max", [largest, try graph.scalar(1e-5)]), try graph.scalar(127)])
      let rounded = graph.add("Round", [graph.add("Div", [x, scale])])
      let codes = graph.add("Clip", [rounded, try graph.scalar(-127), try graph.scalar(127)])
      return Input(values: codes, scale: scale)
    }
  }

  /// y = x Wᵀ + b for one matrix [out, in].
  func linear(_ x: String, _ name: String, bias: Bool) throws -> String {
    let id = model.table.require("\(name).weight")
    return try linear(try input(x, format(id)), name, bias: bias)
  }

  func linear(_ input: Input, _ name: String, bias: Bool) throws -> String {
    let id = model.table.require("\(name).weight")
    let product = graph.add("Gemm", [input.values, try matrix(id)], [.integer("transB", 1)])
    let scaled = input.scale.map { multiply(product, $0) } ?? product
    return bias ? add(scaled, try dense("\(name).bias")) : scaled
  }

  /// The values in use of a matrix [out, in], as fp32.
  func matrix(_ id: ParameterID) throws -> String {
    let packed = weights.weights(id)
    let name = model.table[id].name
    let shape = model.table[id].shape
    let stored = ONNXStack(ids: [id], weights)
    if storesFloats || packed.format == .fp32 { return try stored.floats(name, shape, graph) }
    switch packed.format {
    case .fp32, .fp16, .bf16: return cast(try stored.halves(name, shape, graph), .float)
    case .int8, .ternary, .int4:
      let codes = try stored.codes(name, shape, graph)
      if packed.groups > 1 {
        let scales = try stored.scales(name + "/scale", [packed.rows, packed.groups], graph)
        return graph.add(
          "DequantizeLinear", [codes, scales],
          [.integer("axis", 1), .integer("block_size", packed.columns / packed.groups)])
      }
      let scales = try stored.scales(name + "/scale", [packed.rows], graph)
      return graph.add("DequantizeLinear", [codes, scales], [.integer("axis", 0)])
    }
  }

  // MARK: Stacks

  /// The format of a stack `mini_moes.*.<part>.weight`.
  func stackFormat(_ part: String) -> NumberFormat { format(model.table.require("mini_moes.0.\(part).weight")) }

  /// y = x Wᵀ + b with the matrices that `indices` [S] picks from all of `part`: x [S or 1, in] gives [S, out].
  func picked(_ input: Input, _ part: String, _ indices: String) throws -> String {
    let ids = (0..<configuration.numMiniMoes).map { model.table.require("mini_moes.\($0).\(part).weight") }
    let packed = weights.weights(ids[0])
    let (rows, columns) = (packed.rows, packed.columns)
    let name = "mini_moes.\(part).weight"
    let stored = ONNXStack(ids: ids, weights)
    let all = ids.count * packed.count
    let values: String
    if storesFloats || packed.format == .fp32 {
      values = graph.add("Gather", [try stored.floats(name, [all, rows, columns], graph), indices])
    } else if !packed.format.isInteger {
      values = cast(graph.add("Gather", [try stored.halves(name, [all, rows, columns], graph), indices]), .float)
    } else {
      let scales = graph.add(
        "Gather", [try stored.scales(name + "/scale", [all, rows, packed.groups], graph), indices])
      let block: [Onnx_AttributeProto] = [
        .integer("axis", 2), .integer("block_size", columns / packed.groups),
      ]
      if packed.format == .int8 || columns % 2 == 1 {
        let codes = graph.add("Gather", [try stored.bytes(name, [all, rows, columns], graph), indices])
        values = graph.add("DequantizeLinear", [codes, scales], block)
      } else {
        let codes = try unpacked(
          graph.add("Gather", [try stored.nibbles(name, [all, rows, columns / 2], graph), indices]), rows, columns)
        let zeros = graph.add("Expand", [try byte(8), graph.add("Shape", [scales])])
        values = graph.add("DequantizeLinear", [codes, scales, zeros], block)
      }
    }
    let last = try graph.integers([-1])
    let product = graph.add("MatMul", [values, graph.add("Unsqueeze", [input.values, last])])
    let flat = graph.add("Squeeze", [product, last])
    let scaled = input.scale.map { multiply(flat, $0) } ?? flat
    return add(scaled, graph.add("Gather", [try denseStack("\(part).bias"), indices]))
  }

  private func byte(_ value: UInt8) throws -> String {
    try graph.constant("byte/\(value)", .uint8, [], byteCount: 1) { sink in
      try withUnsafeBytes(of: value) { try sink($0) }
    }
  }

  /// One code a byte [S, rows, columns] from two [S, rows, columns / 2], the first in the low half.
  private func unpacked(_ bytes: String, _ rows: Int, _ columns: Int) throws -> String {
    let last = try graph.integers([-1])
    let halves = [
      graph.add("BitwiseAnd", [bytes, try byte(15)]),
      graph.add("BitShift", [bytes, try byte(4)], [.text("direction", "RIGHT")]),
    ].map { graph.add("Unsqueeze", [$0, last]) }
    return try reshape(graph.add("Concat", halves, [.integer("axis", -1)]), [-1, rows, columns])
  }

  /// The `k` choices of p = softmax(`logits` [R, n]) by p + bias [n or R, n]: indices, and gates [R, k] that are the
  /// renormalised chosen p: the softmax of the chosen logits, which is finite however small they are.
  func choose(_ logits: String, bias: String, _ k: Int) throws -> (indices: String, gates: String) {
    let top = graph.addMany(
      "TopK", [add(softmax(logits), bias), try graph.integers([k])], results: 2,
      [.integer("axis", -1), .integer("sorted", 1)])
    return (top[1], softmax(graph.add("GatherElements", [logits, top[1]], [.integer("axis", -1)])))
  }
}
