import LowBit
import Tensors

/// Identifies a parameter in its table: the index of its name in sorted order.
public struct ParameterID: Hashable, Sendable {
  public let index: Int
  public init(_ index: Int) { self.index = index }
}

/// The role of a parameter; it decides the format and whether the parameter has a gradient.
public enum ParameterRole: Sendable, Equatable {
  /// A linear layer's weight [outputs, inputs], or a stack [count, outputs, inputs], in a number format.
  case linear(NumberFormat)
  /// A parameter that is always fp32: norms, routers, biases, the time network, the value head.
  case dense
  /// A router's balance bias: has no gradient, is moved by the loads, does not count as a parameter.
  case balanceBias
}

/// The part of the model that a parameter belongs to.
public enum ParameterOwner: Sendable, Equatable {
  case embedding, overseer, diffusion
  /// A layer of the trunk, by its index.
  case layer(Int)
  /// A mini-MoE of the council, by its index.
  case miniMoE(Int)
  case finalNorm, valueHead
}

/// The initial value of a parameter.
public enum InitialValue: Sendable, Equatable {
  case normal(deviation: Double)
  case ones
  case zeros
}

/// One named tensor.
public struct ParameterSpecification: Sendable, Equatable {
  public let name: String
  public let shape: [Int]
  public let role: ParameterRole
  public let initial: InitialValue
  /// Nil for a parameter of a layer that belongs to no model.
  public let owner: ParameterOwner?
  /// Whether weight decay applies: to the weights of linear layers, but not to biases, norms, routers, the embedding and
  /// the value head.
  public let isDecayed: Bool

  public init(
    _ name: String, _ shape: [Int], _ role: ParameterRole, _ initial: InitialValue, owner: ParameterOwner? = nil,
    isDecayed: Bool = false
  ) {
    self.name = name
    self.shape = shape
    self.role = role
    self.initial = initial
    self.owner = owner
    self.isDecayed = isDecayed
  }

  public var count: Int { shape.reduce(1, *) }
  /// The first part of the name, by which tables of parameters are grouped: `embedding`, `overseer`, `diffusion`,
  /// `layers`, `mini_moes`, …
  public var component: String { name.split(separator: ".").first.map(String.init) ?? name }
  /// The mini-MoE that the parameter belongs to; nil outside the council.
  public var miniMoE: Int? {
    if case .miniMoE(let index) = owner { index } else { nil }
  }
  /// For linear weights: matrices in the stack.
  public var matrices: Int { shape.count == 3 ? shape[0] : 1 }
  public var outputs: Int { shape.count == 1 ? 1 : shape[shape.count - 2] }
  public var inputs: Int { shape[shape.count - 1] }
}

/// All parameters of a model, sorted by name (byte order); the same on every rank, whatever the rank holds.
public struct ParameterTable: Sendable, Equatable {
  public let specifications: [ParameterSpecification]
  /// Elements of a store of all tensors, each padded to a multiple of sixteen (64 bytes).
  public let storeCount: Int
  private let indices: [String: Int]

  public init(_ specifications: [ParameterSpecification]) {
    let sorted = specifications.sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }
    var next = 0
    var indices: [String: Int] = [:]
    for (index, specification) in sorted.enumerated() {
      precondition(indices[specification.name] == nil, "two parameters named \(specification.name)")
      indices[specification.name] = index
      next += VectorLanes.padded(specification.count)
    }
    self.specifications = sorted
    self.indices = indices
    storeCount = next
  }

  public var count: Int { specifications.count }
  public var ids: [ParameterID] { specifications.indices.map(ParameterID.init) }
  /// Trained parameters; balance biases are not counted.
  public var parameterCount: Int {
    specifications.reduce(0) { $0 + ($1.role == .balanceBias ? 0 : $1.count) }
  }

  public func id(_ name: String) -> ParameterID? { indices[name].map(ParameterID.init) }
  /// The id of a name that the model declares.
  public func require(_ name: String) -> ParameterID {
    guard let index = indices[name] else { preconditionFailure("no parameter is named \(name)") }
    return ParameterID(index)
  }
  public subscript(id: ParameterID) -> ParameterSpecification { specifications[id.index] }
}
