import Foundation
import Layers
import LowBit
import Models
import Parameters

/// Numbers and sizes of the parameters of a model by component, computed without allocating them.
public struct ParameterPlan: Sendable {
  /// A component, or a part of one.
  public struct Row: Sendable, Equatable {
    /// The first part of tensor names: `embedding`, `overseer`, `diffusion`, `layers`, `mini_moes`, `final_norm` or
    /// `value_head`.
    public let component: String
    /// The part of the component; nil if the component has only one part.
    public let part: String?
    /// Number of trained parameters.
    public fileprivate(set) var parameters = 0
    /// The number formats in use, in the order of `NumberFormat`.
    public fileprivate(set) var formats: [NumberFormat] = []
    /// Bytes of the masters; gradients and each fp32 moment have the same size.
    public var fp32Bytes: Int { 4 * parameters }
    /// Bytes of the packed weights: codes, scales and fp32 values, including padding.
    public fileprivate(set) var packedBytes = 0
    /// Information content in bits: log₂ of the number of values of the format for each weight, and 32 for each scale.
    public fileprivate(set) var informationBits = 0.0

    fileprivate mutating func add(_ other: Row) {
      parameters += other.parameters
      packedBytes += other.packedBytes
      informationBits += other.informationBits
      formats = NumberFormat.allCases.filter { formats.contains($0) || other.formats.contains($0) }
    }
  }

  /// All parts of all components, in the order of the model.
  public let parts: [Row]
  /// The sum of all parts.
  public let total: Row
  /// Number of balance biases, which are adjusted by loads and are not trained parameters.
  public let balanceBiases: Int
  /// Elements of one fp32 store (masters, gradients or a moment), padding and balance biases included.
  public let storeCount: Int
  /// The elements of a store that belong to mini-MoEs, which the ranks of an expert group divide.
  public let councilStoreCount: Int
  /// The elements of the council that are stacks: the weights of experts and micro agents.
  public let stackStoreCount: Int

  /// Counts the parameters of a model.
  ///
  /// - Throws: `ConfigurationIssue` if the sizes are inconsistent.
  public init(_ configuration: ModelConfiguration, _ precision: PrecisionConfiguration) throws(ConfigurationIssue) {
    // The maximum sequence length affects no parameter, only the table of rotary angles.
    var configuration = configuration
    configuration.maxSeqLen = 2
    self.init(try QuillanModel(configuration, precision))
  }

  private init(_ model: QuillanModel) {
    var rows: [Row] = []
    for specification in model.table.specifications where specification.role != .balanceBias {
      let row = Self.row(specification, int4Group: model.configuration.int4Group)
      if let index = rows.firstIndex(where: { $0.component == row.component && $0.part == row.part }) {
        rows[index].add(row)
      } else {
        rows.append(row)
      }
    }
    parts = rows.enumerated().sorted { left, right in
      let (a, b) = (Self.rank(left.element), Self.rank(right.element))
      return a == b ? left.offset < right.offset : a < b
    }.map(\.element)
    total = parts.reduce(into: Row(component: "total", part: nil)) { $0.add($1) }
    balanceBiases = model.table.specifications.reduce(0) { $0 + ($1.role == .balanceBias ? $1.count : 0) }
    storeCount = model.table.storeCount
    let council = model.table.specifications.filter { $0.component == "mini_moes" }
    councilStoreCount = council.reduce(0) { $0 + ($1.count + 15) & ~15 }
    stackStoreCount = council.reduce(0) { $0 + (UnitSums.takes($1) ? ($1.count + 15) & ~15 : 0) }
  }

  /// The sum of the parts of each component, in the order of the model.
  public var components: [Row] {
    var rows: [Row] = []
    for part in parts {
      if rows.last?.component != part.component { rows.append(Row(component: part.component, part: nil)) }
      rows[rows.count - 1].add(part)
    }
    return rows
  }

  private static func row(_ specification: ParameterSpecification, int4Group: Int) -> Row {
    var row = Row(component: specification.component, part: part(specification.name))
    row.parameters = specification.count
    guard case .linear(let format) = specification.role else {
      row.formats = [.fp32]
      row.packedBytes = 4 * ((specification.count + 15) & ~15)
      row.informationBits = 32 * Double(specification.count)
      return row
    }
    row.formats = [format]
    row.packedBytes = PackedWeights.bytes(
      format: format, count: specification.matrices, rows: specification.outputs, columns: specification.inputs,
      int4Group: int4Group)
    let rows = specification.matrices * specification.outputs
    let scales =
      switch format {
      case .fp32, .fp16, .bf16: 0
      case .ternary, .int8: rows
      case .int4: rows * max(1, specification.inputs / int4Group)
      }
    row.informationBits = Double(specification.count) * format.informationBits + 32 * Double(scales)
    return row
  }

  private static let order = [
    "embedding", "overseer", "diffusion", "layers", "mini_moes", "final_norm", "value_head",
  ]

  private static func rank(_ row: Row) -> Int { order.firstIndex(of: row.component) ?? order.count }

  /// The part that a tensor belongs to.
  private static func part(_ name: String) -> String? {
    let words = name.split(separator: ".")
    switch words[0] {
    case "diffusion": return words[1] == "time" ? "time embedding" : "denoiser"
    case "layers":
      if words[2] == "attention" { return "attention" }
      return words[2] == "router" ? "routers" : "norms"
    case "mini_moes":
      if words[2] == "experts" { return "experts" }
      return words[2] == "agents" ? "micro agents" : "routers"
    default: return nil
    }
  }
}

extension NumberFormat {
  /// log₂ of the number of values of a weight.
  fileprivate var informationBits: Double {
    switch self {
    case .fp32: 32
    case .fp16, .bf16: 16
    case .ternary: log2(3)
    case .int4: log2(15)
    case .int8: log2(255)
    }
  }
}
