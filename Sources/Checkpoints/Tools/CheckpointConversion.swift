import Foundation

/// Rewrites a checkpoint in another layout. Stored slices are copied unchanged after their hashes and numbers have been
/// checked, so no tensor is loaded, and converting to another layout and back gives the same bytes.
public struct CheckpointConversion: Sendable {
  /// The number of files that hold the mini-MoEs; 0: everything in one file; nil: unchanged.
  public var expertFiles: Int?
  /// Whether only masters and balance biases are kept.
  public var weightsOnly = false

  public init(expertFiles: Int? = nil, weightsOnly: Bool = false) {
    self.expertFiles = expertFiles
    self.weightsOnly = weightsOnly
  }

  /// Writes the checkpoint `target`, a directory that does not exist yet. Memory: the largest stored slice.
  ///
  /// - Throws: `CheckpointError`; there is then nothing at `target`.
  public func convert(
    _ reader: CheckpointReader, to target: String, files: any FileLayer = SystemFiles(),
    progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) throws {
    var manifest = reader.manifest
    if weightsOnly {
      manifest.tensors.removeAll { $0.key.kind != .master }
      manifest.phase = "weights"
      manifest.counters = [:]
    }
    let miniMoEs = manifest.miniMoEs
    if let expertFiles {
      guard expertFiles == 0 || 1...max(1, miniMoEs) ~= expertFiles else {
        throw CheckpointError(
          .invalidRequest, path: target, problem: "\(expertFiles) expert files for \(miniMoEs) mini-MoEs",
          remedy: "ask for 1 to \(max(1, miniMoEs)), or for one consolidated file")
      }
      manifest.expertFiles = expertFiles
    }
    let meter = ProgressMeter(total: manifest.tensors.reduce(0) { $0 + $1.storedByteCount }, progress)
    let workspace = CheckpointReader.Workspace()
    for tensor in manifest.tensors { try CheckpointVerification.check(tensor, reader, workspace) }
    try CheckpointDraft.write(to: target, files: files) { draft in
      try copy(manifest, from: reader, into: draft, miniMoEs: miniMoEs, files, meter)
    }
  }

  /// Copies the slices of `manifest` file by file, and returns it with their new files and offsets.
  private func copy(
    _ old: Manifest, from reader: CheckpointReader, into draft: String, miniMoEs: Int, _ files: any FileLayer,
    _ meter: ProgressMeter
  ) throws -> Manifest {
    var manifest = old
    var members: [String: [(tensor: Int, slice: Int)]] = [:]
    for (index, tensor) in old.tensors.enumerated() {
      for (number, slice) in tensor.slices.enumerated() {
        let name = Placement.file(tensor.key, part: slice.part, expertFiles: old.expertFiles, miniMoEs: miniMoEs)
        members[name, default: []].append((index, number))
      }
    }
    manifest.files = []
    var block = MemoryBlock(byteCount: 1 << 16)
    for name in members.keys.sorted() {
      let output = try ShardOutput(name, in: draft, files)
      for (index, number) in members[name] ?? [] {
        let tensor = old.tensors[index]
        let bytes = try reader.stored(tensor.slices[number], of: tensor, into: &block)
        manifest.tensors[index].slices[number].file = manifest.files.count
        manifest.tensors[index].slices[number].offset = output.byteCount
        try output.append(bytes, tensor: tensor.key)
        meter.add(bytes.count)
      }
      manifest.files.append(try output.finish())
    }
    return manifest
  }
}

extension Manifest {
  /// The number of mini-MoEs in the tensors' names.
  public var miniMoEs: Int { (tensors.compactMap(\.key.miniMoE).max() ?? -1) + 1 }
}
