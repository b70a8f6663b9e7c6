import Files
import Formats
import Foundation

/// A checkpoint open for reading.
///
/// Opening reads and validates the manifest (see `Manifest.validate`) and compares the files' sizes and headers with
/// it. A tensor's bytes are hashed before any of them is used. Every rank can read every part, on any number of ranks.
public final class CheckpointReader: Sendable {
  /// The checkpoint's directory.
  public let path: String
  public let manifest: Manifest
  private let shards: [any ReadableFile]

  /// - Throws: `CheckpointError` unless the checkpoint is complete.
  public init(_ path: String, files: any FileLayer = SystemFiles()) throws(CheckpointError) {
    self.path = path
    let manifestPath = "\(path)/\(Manifest.fileName)"
    let text: [UInt8]?
    do throws(FileFault) { text = try files.readFile(manifestPath, limit: Manifest.largestText) } catch {
      if error.number == ENOENT || error.number == ENOTDIR {
        throw CheckpointError(
          .inaccessible, path: path, problem: "not a checkpoint: \(Manifest.fileName) is missing",
          remedy: "name a checkpoint's directory, such as runs/NAME/checkpoints/step-000100")
      }
      throw CheckpointError(reading: error)
    }
    guard let text else {
      throw CheckpointError(
        .malformedManifest, path: manifestPath,
        problem: "the manifest is longer than \(Manifest.largestText) bytes, or changed while it was read",
        remedy: CheckpointError.damaged)
    }
    manifest = try Manifest(text: text, path: manifestPath)
    var shards: [any ReadableFile] = []
    for file in manifest.files { shards.append(try Self.open(file, in: path, files)) }
    self.shards = shards
  }

  /// Whether there is a directory at `path`, to be read as a checkpoint.
  public static func exists(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  private static func open(
    _ file: Manifest.File, in path: String, _ files: any FileLayer
  ) throws(CheckpointError) -> any ReadableFile {
    let filePath = "\(path)/\(file.name)"
    let shard: any ReadableFile
    let header: [UInt8]?
    do throws(FileFault) {
      shard = try files.openFile(filePath)
      header = try shard.bytes(0..<min(shard.byteCount, Shard.header.count))
    } catch {
      guard error.number == ENOENT else { throw CheckpointError(reading: error) }
      throw CheckpointError(.wrongSize, path: filePath, problem: "the file is missing", remedy: CheckpointError.damaged)
    }
    guard shard.byteCount == file.byteCount else {
      throw CheckpointError(
        .wrongSize, path: filePath, offset: min(shard.byteCount, file.byteCount),
        problem: "the file has \(shard.byteCount) bytes, the manifest says \(file.byteCount)",
        remedy: CheckpointError.damaged)
    }
    guard header == Shard.header else {
      throw CheckpointError(
        .corrupt, path: filePath, offset: 0, problem: "the file does not begin like a shard",
        remedy: CheckpointError.damaged)
    }
    return shard
  }

  /// The tensor of a key.
  ///
  /// - Throws: `CheckpointError` of code `missingTensor`.
  public func tensor(_ key: TensorKey) throws(CheckpointError) -> Manifest.Tensor {
    guard let tensor = manifest.tensor(key) else {
      throw CheckpointError(
        .missingTensor, path: path, tensor: key.description, problem: "the checkpoint does not contain it",
        remedy: "use the configuration that the checkpoint was written with")
    }
    return tensor
  }

  /// The stored bytes of a slice, after checking their hash; valid as long as the block.
  func stored(_ slice: Manifest.Slice, of tensor: Manifest.Tensor, into block: inout MemoryBlock)
    throws(CheckpointError) -> UnsafeRawBufferPointer
  {
    let filePath = "\(path)/\(manifest.files[slice.file].name)"
    if block.byteCount < slice.bytes { block = MemoryBlock(byteCount: slice.bytes) }
    let target = UnsafeMutableRawBufferPointer(start: block.pointer, count: slice.bytes)
    let isWhole: Bool
    do throws(FileFault) { isWhole = try shards[slice.file].readAll(into: target, at: slice.offset) } catch {
      throw CheckpointError(reading: error, tensor: tensor.key.description, offset: slice.offset)
    }
    guard isWhole else {
      throw CheckpointError(
        .wrongSize, path: filePath, tensor: tensor.key.description, offset: slice.offset,
        problem: "the file became shorter while it was read", remedy: "do not change checkpoints in use")
    }
    let bytes = UnsafeRawBufferPointer(target)
    guard Frame.hash(bytes) == slice.hash else {
      throw CheckpointError(
        .corrupt, path: filePath, tensor: tensor.key.description, offset: slice.offset,
        problem: "its \(slice.bytes) bytes do not match their hash",
        remedy: CheckpointError.damaged)
    }
    return bytes
  }

  /// A thread's buffers for reading tensors.
  final class Workspace {
    var block = MemoryBlock(byteCount: 1 << 16)
    let decoder = FrameDecoder()
  }

  /// Calls `body(first, bytes)` with the elements of a tensor in order, block by block.
  func elements(
    of tensor: Manifest.Tensor, _ workspace: Workspace, within range: Range<Int>? = nil,
    _ body: (Int, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let wanted = range ?? 0..<tensor.count
    for slice in tensor.slices where slice.range.overlaps(wanted) {
      let bytes = try stored(slice, of: tensor, into: &workspace.block)
      do {
        try workspace.decoder.decode(bytes, slice.encoding, tensor.type, count: slice.range.count) { first, bytes in
          try body(slice.range.lowerBound + first, bytes)
          return slice.range.lowerBound + first + bytes.count / tensor.type.byteCount < wanted.upperBound
        }
      } catch let fault as FrameDecoder.Fault {
        throw CheckpointError(
          .corrupt, path: "\(path)/\(manifest.files[slice.file].name)", tensor: tensor.key.description,
          offset: slice.offset + fault.offset, problem: fault.problem, remedy: CheckpointError.damaged)
      }
    }
  }

  /// As `elements`, but a value that is not finite is an error.
  ///
  /// - Throws: `CheckpointError` of code `notFinite` naming the element, and what `elements` throws.
  func finiteElements(
    of tensor: Manifest.Tensor, _ workspace: Workspace, within range: Range<Int>? = nil,
    _ body: (Int, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    try elements(of: tensor, workspace, within: range) { first, bytes in
      if let index = FiniteCheck.firstNonfinite(bytes, tensor.type) {
        throw CheckpointError(
          .notFinite, path: path, tensor: tensor.key.description, problem: "element \(first + index) is not finite",
          remedy: "use a checkpoint from before the run diverged")
      }
      try body(first, bytes)
    }
  }

  /// Fills the memory of every piece, on `threads` threads.
  ///
  /// - Throws: `CheckpointError` naming the tensor that is missing, damaged, not finite, or of another type or shape; the
  ///   memory of all pieces is then undefined.
  public func read(_ pieces: [TensorPiece], threads: Int) throws {
    for piece in pieces {
      let tensor = try tensor(piece.key)
      guard tensor.type == piece.type, tensor.shape == piece.shape else {
        throw CheckpointError(
          .mismatch, path: path, tensor: piece.key.description,
          problem: "is \(tensor.type.rawValue) \(tensor.shape), the run needs \(piece.type.rawValue) \(piece.shape)",
          remedy: "use the configuration that the checkpoint was written with")
      }
    }
    // The largest first, so that threads finish at about the same time.
    let inOrder = pieces.sorted { $0.byteCount > $1.byteCount }
    let turns = OrderedTurns(count: inOrder.count)
    Workers.run(min(threads, max(1, inOrder.count))) { [self] _ in
      let workspace = Workspace()
      while let number = turns.next() {
        do { try read(inOrder[number], workspace) } catch { turns.fail(error) }
      }
    }
    try turns.check()
  }

  private func read(_ piece: TensorPiece, _ workspace: Workspace) throws {
    let width = piece.type.byteCount
    try finiteElements(of: tensor(piece.key), workspace, within: piece.range) { first, bytes in
      let block = first..<first + bytes.count / width
      let common = block.clamped(to: piece.range)
      guard !common.isEmpty else { return }
      piece.memory.advanced(by: (common.lowerBound - piece.range.lowerBound) * width).copyMemory(
        from: bytes.baseAddress! + (common.lowerBound - first) * width, byteCount: common.count * width)
    }
  }

  /// A whole small tensor.
  public func array<Element: BitwiseCopyable>(_ key: TensorKey, _ type: SafetensorsDataType, of: Element.Type) throws
    -> [Element]
  {
    precondition(MemoryLayout<Element>.stride == type.byteCount, "\(Element.self) for \(type.rawValue)")
    let tensor = try tensor(key)
    guard tensor.type == type else {
      throw CheckpointError(
        .mismatch, path: path, tensor: key.description, problem: "is \(tensor.type.rawValue), not \(type.rawValue)",
        remedy: CheckpointError.damaged)
    }
    var result: [Element] = []
    try finiteElements(of: tensor, Workspace()) { _, bytes in result += bytes.bindMemory(to: Element.self) }
    return result
  }
}
