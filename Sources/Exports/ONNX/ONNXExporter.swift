import Files
import Formats
import Foundation
import Models
import Parameters
import SwiftProtobuf

/// Writes a model as ONNX graphs (operator set 21): `model.onnx` computes logits, `diffusion.onnx` samples latents.
///
/// `model.onnx`: input_ids [batch, sequence] int64, latents [batch, sequence, d] uint8 (0 or 1), past_key_values.l.key
/// and .value [batch, heads, past, head_dim] (keys after rotation; `past` is 0 at first) → logits [batch, sequence,
/// vocabulary], value [batch, sequence], present.l.key and .value. Sequences of a batch have one length.
///
/// `diffusion.onnx`: input_ids, noise [batch, sequence, d] uint8 (random bits), uniforms [S − 1, batch, sequence, d] in
/// [0, 1) → latents, and probabilities [S, batch, sequence, d] that the steps compared with.
///
/// Source of the schema: onnx.proto of ONNX 1.x, from which `onnx.pb.swift` is generated.
public enum ONNXExporter {
  /// The sizes of an export.
  public struct Outcome: Sendable {
    public let files: [String]
  }

  /// Numbers above this many bytes go to `weights.bin`, which both graphs share.
  private static let largestInside = 64 << 20
  private static let operatorSet = 21
  private static let representation = 10

  /// Writes the graphs into an existing directory, each file atomically.
  ///
  /// - Parameters:
  ///   - storesFloats: stores every weight as the fp32 value in use instead of in its number format.
  ///   - metadata: strings for the files' metadata.
  ///   - policy: what the files may replace.
  /// - Throws: `SafetensorsError` if a file cannot be written.
  public static func write(
    _ model: QuillanModel, _ weights: PackedModel, storesFloats: Bool, metadata: [String: String], version: String,
    to directory: String, policy: OutputPolicy = .own
  ) throws -> Outcome {
    let bytes = storesFloats ? 4 * model.table.parameterCount : weights.byteCount
    let externalPath = bytes > largestInside ? "\(directory)/weights.bin" : nil
    let tensors = try ONNXTensors(externalPath: externalPath, policy: policy)
    var messages: [(String, Onnx_ModelProto)] = []
    func network() -> ONNXNetwork {
      ONNXNetwork(model: model, weights: weights, storesFloats: storesFloats, graph: ONNXGraph(tensors))
    }
    if let diffusion = model.diffusion {
      let sampler = network()
      try sampler.buildDiffusion(diffusion)
      messages.append(("diffusion", message(sampler.graph.message("diffusion"), metadata, version)))
    }
    let trunk = network()
    try trunk.buildTrunk()
    messages.append(("model", message(trunk.graph.message("model"), metadata, version)))
    try tensors.commit()
    var files = externalPath.map { [$0] } ?? []
    for (name, message) in messages {
      let path = "\(directory)/\(name).onnx"
      let output = try SafetensorsOutput(path: path, policy: policy)
      let data: Data = try message.serializedBytes()
      try data.withUnsafeBytes { try output.append($0, tensor: nil) }
      try output.commit()
      files.append(path)
    }
    return Outcome(files: files)
  }

  private static func message(_ graph: Onnx_GraphProto, _ metadata: [String: String], _ version: String)
    -> Onnx_ModelProto
  {
    var message = Onnx_ModelProto()
    message.irVersion = Int64(representation)
    var operators = Onnx_OperatorSetIdProto()
    operators.domain = ""
    operators.version = Int64(operatorSet)
    message.opsetImport = [operators]
    message.producerName = "quillan"
    message.producerVersion = version
    message.graph = graph
    message.metadataProps = metadata.sorted { $0.key < $1.key }.map { key, value in
      var entry = Onnx_StringStringEntryProto()
      (entry.key, entry.value) = (key, value)
      return entry
    }
    return message
  }
}
