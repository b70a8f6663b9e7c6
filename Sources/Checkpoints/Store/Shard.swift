import Files

/// A file of slices: a header, then stored slices without gaps, which the manifest describes.
public enum Shard {
  /// The first bytes of every `.qck` file.
  package static let header = Array("QUILLANQCK\0\0".utf8) + [1, 0, 0, 0]
}

/// A shard file being written, slice by slice. Used by one thread at a time.
final class ShardOutput: @unchecked Sendable {
  private let name: String
  private let file: any WritableFile
  /// The bytes so far, the offset of the next slice.
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
