import Checkpoints
import Configuration
import Errors
import Exports
import Formats
import Foundation
import LowBit
import Models
import Parameters
import Tensors

/// Weights to deploy, from any of these sources, with the description of their model.
///
/// | path | source |
/// |---|---|
/// | a directory with `manifest.json` | a checkpoint, which contains its configuration |
/// | a directory with `weights.safetensors` and `config.yaml` | a run; without weights, its newest checkpoint |
/// | a directory with `model.safetensors` and `config.json` | an export |
/// | a safetensors file | weights; the configuration is beside the file or named separately |
/// | a packed model | a packed model, which contains its configuration |
public struct ModelSource {
  public enum Weights {
    /// fp32 masters, which can be packed in any format.
    case masters(ParameterStore)
    /// Packed weights only, in the formats of the description.
    case packed(PackedModel)
  }

  /// The path as given, for messages.
  public let path: String
  /// The file or checkpoint of the weights.
  public let weightsPath: String
  /// The text and file of the configuration; nil for a packed model.
  public let configuration: (text: String, file: String)?
  public let description: ModelDescription
  /// The description before overrides.
  public let configured: ModelDescription
  public let model: QuillanModel
  public let weights: Weights

  /// Opens `path`, and selects the order of bfloat16 sums that it records for the whole process.
  ///
  /// - Parameters:
  ///   - configuration: a configuration file, instead of the one beside the weights.
  ///   - overrides: changes to the configuration, `section.key=value`.
  /// - Throws: `ModelSourceError`, `ConfigurationError`, `SafetensorsError` or `PackedFileError`.
  public init(
    _ path: String, configuration: String? = nil, overrides: [String] = [], context: Context
  ) throws {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw ModelSourceError(path: path, problem: "does not exist", remedy: "give weights, a run, or a packed model")
    }
    self.path = path
    if !isDirectory.boolValue, PackedFile.isPacked(path) {
      guard configuration == nil, overrides.isEmpty else {
        throw ModelSourceError(
          path: path, problem: "is packed: its configuration and formats are fixed",
          remedy: "omit --config and --set, or start from the fp32 weights")
      }
      let file = try PackedFile(path: path)
      weightsPath = path
      do throws(ConfigurationError) { description = try ModelDescription(tree: file.configuration, file: path) } catch {
        throw PackedFileError(
          .mismatch, path: path, "describes a model that this program does not support (\(error.message))",
          remedy: "use the program that wrote it")
      }
      configured = description
      model = try QuillanModel(description.model, description.precision)
      description.precision.bf16Sums.select()
      self.configuration = nil
      try MemoryNeed.check(
        bytes: file.layout == .mapped ? 0 : model.packedBytes, purpose: "the weights of \(path)")
      let packed = try file.load(
        model.table, int4Group: model.configuration.int4Group, derivedCount: model.derivedCount, pool: context.pool)
      model.refresh(packed, context)
      weights = .packed(packed)
      return
    }
    let location = try WeightsLocation(path)
    if case .checkpoint(let checkpoint) = location {
      let reader = try CheckpointReader(checkpoint)
      weightsPath = checkpoint
      let text =
        try configuration.map { (try ModelDescription.text(of: $0), $0) }
        ?? (reader.manifest.configuration, "\(checkpoint)/\(Self.manifestName)")
      self.configuration = text
      configured = try ModelDescription.parse(text.0, file: text.1)
      description = try ModelDescription.parse(text.0, file: text.1, overrides: overrides)
      model = try QuillanModel(description.model, description.precision)
      description.precision.bf16Sums.select()
      try MemoryNeed.check(bytes: 4 * model.table.storeCount, purpose: "the weights of \(checkpoint)")
      weights = .masters(
        try WeightsFile.load(reader, for: model, holding: model.table.ids, threads: context.pool.threads))
      return
    }
    guard case .file(let file) = location else { preconditionFailure("the location is neither file nor checkpoint") }
    weightsPath = file
    let configurationPath = configuration ?? Self.configuration(beside: weightsPath)
    guard let configurationPath else {
      throw ModelSourceError(
        path: weightsPath, problem: "has no configuration beside it",
        remedy: "name one with --config (config.yaml of the run that wrote the weights)")
    }
    let text = (try ModelDescription.text(of: configurationPath), configurationPath)
    self.configuration = text
    configured = try ModelDescription.parse(text.0, file: text.1)
    description = try ModelDescription.parse(text.0, file: text.1, overrides: overrides)
    model = try QuillanModel(description.model, description.precision)
    description.precision.bf16Sums.select()
    let tensors = try SafetensorsFile(path: weightsPath)
    if tensors.metadata["format"] == PackedSafetensors.format {
      try MemoryNeed.check(bytes: model.packedBytes, purpose: "the weights of \(weightsPath)")
      let packed = model.makePackedModel()
      try PackedSafetensors.load(tensors, into: packed, pool: context.pool)
      model.refresh(packed, context)
      weights = .packed(packed)
      return
    }
    try MemoryNeed.check(bytes: 4 * model.table.storeCount, purpose: "the weights of \(weightsPath)")
    weights = .masters(try WeightsFile.load(tensors, for: model))
  }

  /// The weights in packed form; packs masters if necessary.
  public func packed(_ context: Context) throws -> PackedModel {
    switch weights {
    case .packed(let packed): return packed
    case .masters(let masters):
      try MemoryNeed.check(bytes: model.packedBytes, purpose: "packing the weights")
      let packed = model.makePackedModel()
      model.pack(masters, into: packed, context)
      return packed
    }
  }

  private static let manifestName = "manifest.json"

  private static func configuration(beside weights: String) -> String? {
    let directory = URL(fileURLWithPath: weights).deletingLastPathComponent().path
    return ["config.yaml", "config.json"].map { "\(directory)/\($0)" }.first {
      FileManager.default.fileExists(atPath: $0)
    }
  }
}

/// Weights that cannot be found or used as requested.
public struct ModelSourceError: QuillanError, Equatable {
  public let path: String
  public let problem: String
  public let remedy: String?
  /// Whether the file's content is at fault.
  public let isBadData: Bool

  public init(path: String, problem: String, remedy: String, isBadData: Bool = false) {
    self.path = path
    self.problem = problem
    self.remedy = remedy
    self.isBadData = isBadData
  }

  public var status: ErrorStatus { isBadData ? .data : .failure }
  public var place: String? { path }
}

extension QuillanModel {
  /// The size of the packed weights in bytes.
  public var packedBytes: Int {
    table.specifications.reduce(4 * derivedCount) { total, specification in
      guard case .linear(let format) = specification.role else { return total + 4 * specification.count }
      return total
        + PackedWeights.bytes(
          format: format, count: specification.matrices, rows: specification.outputs, columns: specification.inputs,
          int4Group: configuration.int4Group)
    }
  }
}
