import Files
import Formats
import Foundation

/// Converts weights from a checkpoint to safetensors and back: masters and balance biases in F32 under their own names,
/// in one file, or in several with the index of the Python libraries.
public enum SafetensorsConversion {
  /// Writes the masters to `path`: one file, or with `largestFile` a directory of files of at most about that many
  /// bytes (a larger tensor has its own file) and `model.safetensors.index.json`. Memory: one block of elements and the
  /// largest stored slice.
  ///
  /// - Parameter policy: what a single file may replace; a directory replaces nothing.
  /// - Throws: `CheckpointError`, `SafetensorsError`; there is then nothing at `path`.
  public static func export(
    _ reader: CheckpointReader, to path: String, largestFile: Int? = nil, policy: OutputPolicy = .new,
    files: any FileLayer = SystemFiles(),
    progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) throws {
    let masters = reader.manifest.tensors.filter { $0.key.kind == .master }
    let meter = ProgressMeter(total: masters.reduce(0) { $0 + $1.byteCount }, progress)
    let metadata = [
      "format": "quillan-weights", "version": "1", "steps": "\(reader.manifest.step)", "phase": reader.manifest.phase,
    ]
    guard let largestFile else {
      return try write(masters, of: reader, to: path, policy, metadata, meter)
    }
    var groups: [[Manifest.Tensor]] = []
    var size = 0
    for tensor in masters {
      if groups.isEmpty || size + tensor.byteCount > largestFile {
        groups.append([])
        size = 0
      }
      groups[groups.count - 1].append(tensor)
      size += tensor.byteCount
    }
    try CheckpointDraft.writeDirectory(to: path, files: files) { draft in
      var places: [String] = []
      for (index, group) in groups.enumerated() {
        let name = "model-\(padded(index + 1))-of-\(padded(groups.count)).safetensors"
        try write(group, of: reader, to: "\(draft)/\(name)", .own, metadata, meter)
        places += group.map { "    \(JSONText.string($0.key.name)): \(JSONText.string(name))" }
      }
      let total = masters.reduce(0) { $0 + $1.byteCount }
      let index =
        "{\n  \"metadata\": {\"total_size\": \(total)},\n  \"weight_map\": {\n\(places.joined(separator: ",\n"))\n  }\n}\n"
      do throws(FileFault) { try files.writeFile("\(draft)/\(indexName)", Array(index.utf8)) } catch {
        throw CheckpointError(writing: error)
      }
    }
  }

  static let indexName = "model.safetensors.index.json"

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  private static func write(
    _ tensors: [Manifest.Tensor], of reader: CheckpointReader, to path: String, _ policy: OutputPolicy,
    _ metadata: [String: String], _ meter: ProgressMeter
  ) throws {
    let workspace = CheckpointReader.Workspace()
    try SafetensorsWriter.write(
      path: path,
      tensors: tensors.map { tensor in
        SafetensorsTensor(name: tensor.key.name, dataType: tensor.type, shape: tensor.shape) { sink in
          try reader.finiteElements(of: tensor, workspace) { _, bytes in
            try sink(bytes)
            meter.add(bytes.count)
          }
        }
      }, metadata: metadata, policy: policy)
  }

  /// A tensor of the model, and the source's tensors whose concatenated elements it has.
  public struct Wanted: Sendable {
    public var name: String
    public var shape: [Int]
    public var sources: [String]

    public init(name: String, shape: [Int], sources: [String]) {
      self.name = name
      self.shape = shape
      self.sources = sources
    }
  }

  /// Writes the weights-only checkpoint `target` from `source`: a safetensors file, or a directory with an index. F16 and
  /// BF16 are widened exactly. Memory: the largest tensor twice.
  ///
  /// - Parameters:
  ///   - wanted: every tensor of the model; the source must have all of them and may have others.
  ///   - manifest: the checkpoint's manifest without files and tensors.
  /// - Throws: `CheckpointError`, `SafetensorsError`; there is then nothing at `target`.
  public static func load(
    _ source: String, _ wanted: [Wanted], as manifest: Manifest, to target: String,
    files: any FileLayer = SystemFiles(), progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) throws {
    let set = try SafetensorsSet(source)
    let tensors = wanted.sorted { TensorKey($0.name, .master) < TensorKey($1.name, .master) }
    let meter = ProgressMeter(total: tensors.count, progress)
    let miniMoEs = (tensors.compactMap { TensorKey($0.name, .master).miniMoE }.max() ?? -1) + 1
    try CheckpointDraft.write(to: target, files: files) { draft in
      var result = manifest
      let byFile = Dictionary(grouping: tensors) {
        Placement.file(TensorKey($0.name, .master), part: 0, expertFiles: manifest.expertFiles, miniMoEs: miniMoEs)
      }
      let encoder = FrameEncoder()
      for name in byFile.keys.sorted() {
        let output = try ShardOutput(name, in: draft, files)
        for tensor in byFile[name] ?? [] {
          let key = TensorKey(tensor.name, .master)
          let block = try set.floats(tensor)
          let encoded = encoder.encode(
            UnsafeRawBufferPointer(start: block.pointer, count: block.byteCount), .float32)
          let slice = Manifest.Slice(
            range: 0..<block.byteCount / 4, part: 0, file: result.files.count, offset: output.byteCount,
            bytes: encoded.bytes.count, encoding: encoded.encoding, hash: encoded.hash)
          try output.append(encoded.bytes, tensor: key)
          result.tensors.append(Manifest.Tensor(key: key, type: .float32, shape: tensor.shape, slices: [slice]))
          meter.add(1)
        }
        result.files.append(try output.finish())
      }
      result.tensors.sort { $0.key < $1.key }
      return result
    }
  }
}
