import Files

/// A shard file being written, slice after slice. Used by one thread at a time.
final class ShardOutput: @unchecked Sendable {
  private let name: String
  private let file: any WritableFile
  /// Bytes so far: where the next slice begins.
  private(set) var byteCount: Int

  init(_ name: String, in directory: String, _ files: any FileLayer) throws(CheckpointError) {
    self.name = name
    do throws(FileFault) {
      file = try files.createFile("\(directory)/\(name)")
      try file.writeAll(Shard.header)
    } catch { throw CheckpointError(writing: error) }
    byteCount = Shard.header.count
  }

  func append(_ bytes: UnsafeRawBufferPointer, tensor: TensorKey) throws(CheckpointError) {
    do throws(FileFault) { try file.writeAll(bytes) } catch {
      throw CheckpointError(writing: error, tensor: tensor.description, offset: byteCount)
    }
    byteCount += bytes.count
  }

  /// Makes the file durable.
  func finish() throws(CheckpointError) -> Manifest.File {
    do throws(FileFault) {
      try file.synchronize()
      try file.close()
    } catch { throw CheckpointError(writing: error) }
    return Manifest.File(name: name, byteCount: byteCount)
  }
}
