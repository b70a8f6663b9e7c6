import Foundation
import SwiftProtobuf

/// A graph under construction: operators are appended and name their results.
///
/// A subgraph (a loop's body) uses its parent's constants by name and makes its own names.
final class ONNXGraph {
  /// A dimension of a value: a number, or the name of a variable dimension.
  enum Dimension {
    case fixed(Int)
    case named(String)
  }

  private let tensors: ONNXTensors
  private let prefix: String
  private let parent: ONNXGraph?
  private var nodes: [Onnx_NodeProto] = []
  private var inputs: [Onnx_ValueInfoProto] = []
  private var outputs: [Onnx_ValueInfoProto] = []
  private var constants: [Onnx_TensorProto] = []
  private var constantNames: Set<String> = []
  private var count = 0
  /// The part of the network under construction, a prefix of names.
  var scope = ""

  init(_ tensors: ONNXTensors) {
    self.tensors = tensors
    prefix = ""
    parent = nil
  }

  private init(body name: String, of parent: ONNXGraph) {
    tensors = parent.tensors
    prefix = name + "/"
    self.parent = parent
  }

  /// An empty body of a loop operator.
  func body(_ name: String) -> ONNXGraph { ONNXGraph(body: scope + name, of: self) }

  /// Appends an operator and returns its first result.
  @discardableResult
  func add(_ type: String, _ arguments: [String], _ attributes: [Onnx_AttributeProto] = []) -> String {
    addMany(type, arguments, results: 1, attributes)[0]
  }

  func addMany(_ type: String, _ arguments: [String], results: Int, _ attributes: [Onnx_AttributeProto] = [])
    -> [String]
  {
    count += 1
    var node = Onnx_NodeProto()
    node.opType = type
    node.name = "\(prefix)\(scope)\(type).\(count)"
    node.input = arguments
    node.output = (0..<results).map { results == 1 ? node.name : "\(node.name).\($0)" }
    node.attribute = attributes
    nodes.append(node)
    return node.output
  }

  /// Appends an operator with a named result.
  func add(_ type: String, _ arguments: [String], _ attributes: [Onnx_AttributeProto] = [], named name: String) {
    _ = add(type, arguments, attributes)
    nodes[nodes.count - 1].output = [name]
  }

  func input(_ name: String, _ type: Onnx_TensorProto.DataType, _ shape: [Dimension]) -> String {
    inputs.append(Self.value(prefix + name, type, shape))
    return prefix + name
  }

  func output(_ name: String, _ type: Onnx_TensorProto.DataType, _ shape: [Dimension]) {
    outputs.append(Self.value(name, type, shape))
  }

  /// A constant by name; constants of a subgraph live in the outermost graph.
  func constant(
    _ name: String, _ type: Onnx_TensorProto.DataType, _ shape: [Int], byteCount: Int,
    _ provide: (_ sink: ONNXTensors.Sink) throws -> Void
  ) throws -> String {
    if let parent { return try parent.constant(name, type, shape, byteCount: byteCount, provide) }
    if constantNames.insert(name).inserted {
      constants.append(try tensors.tensor(name, type, shape, byteCount: byteCount, provide))
    }
    return name
  }

  func constant(_ name: String, _ shape: [Int], floats: [Float]) throws -> String {
    try constant(name, .float, shape, byteCount: 4 * floats.count) { sink in try floats.withUnsafeBytes { try sink($0) }
    }
  }

  /// A number as a tensor without dimensions.
  func scalar(_ value: Float) throws -> String { try constant("scalar/\(value)", [], floats: [value]) }

  /// Whole numbers as a list.
  func integers(_ values: [Int]) throws -> String {
    let numbers = values.map(Int64.init)
    let name = "integers/" + values.map(String.init).joined(separator: ",")
    return try constant(name, .int64, [values.count], byteCount: 8 * values.count) { sink in
      try numbers.withUnsafeBytes { try sink($0) }
    }
  }

  /// A whole number without dimensions.
  func integer(_ value: Int) throws -> String {
    try constant("integer/\(value)", .int64, [], byteCount: 8) { sink in
      try withUnsafeBytes(of: Int64(value)) { try sink($0) }
    }
  }

  /// The finished graph.
  func message(_ name: String) -> Onnx_GraphProto {
    var graph = Onnx_GraphProto()
    graph.name = name
    graph.node = nodes
    graph.input = inputs
    graph.output = outputs
    graph.initializer = constants
    return graph
  }

  private static func value(_ name: String, _ type: Onnx_TensorProto.DataType, _ shape: [Dimension])
    -> Onnx_ValueInfoProto
  {
    var value = Onnx_ValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = Int32(type.rawValue)
    value.type.tensorType.shape.dim = shape.map { dimension in
      var result = Onnx_TensorShapeProto.Dimension()
      switch dimension {
      case .fixed(let count): result.dimValue = Int64(count)
      case .named(let name): result.dimParam = name
      }
      return result
    }
    return value
  }
}

extension Onnx_AttributeProto {
  static func integer(_ name: String, _ value: Int) -> Onnx_AttributeProto {
    var attribute = Onnx_AttributeProto()
    attribute.name = name
    attribute.type = .int
    attribute.i = Int64(value)
    return attribute
  }

  static func integers(_ name: String, _ values: [Int]) -> Onnx_AttributeProto {
    var attribute = Onnx_AttributeProto()
    attribute.name = name
    attribute.type = .ints
    attribute.ints = values.map(Int64.init)
    return attribute
  }

  static func text(_ name: String, _ value: String) -> Onnx_AttributeProto {
    var attribute = Onnx_AttributeProto()
    attribute.name = name
    attribute.type = .string
    attribute.s = Data(value.utf8)
    return attribute
  }

  static func type(_ name: String, _ value: Onnx_TensorProto.DataType) -> Onnx_AttributeProto {
    integer(name, value.rawValue)
  }

  static func graph(_ name: String, _ value: Onnx_GraphProto) -> Onnx_AttributeProto {
    var attribute = Onnx_AttributeProto()
    attribute.name = name
    attribute.type = .graph
    attribute.g = value
    return attribute
  }
}
