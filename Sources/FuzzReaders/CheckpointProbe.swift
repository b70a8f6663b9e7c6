import Checkpoints
import Files
import Formats
import Foundation

/// A frame; the first bytes of the input are its type, encoding and size.
enum FrameProbe {
  static func decode(_ input: UnsafeRawBufferPointer) -> Any? {
    guard input.count >= 5 else { return nil }
    let types = SafetensorsDataType.allCases
    let type = types[Int(input[0]) % types.count]
    let encoding = FrameEncoding.allCases[Int(input[1]) % FrameEncoding.allCases.count]
    let count = Int(input[2]) | Int(input[3]) << 8 | Int(input[4] & 3) << 16
    let stored = UnsafeRawBufferPointer(rebasing: input[5...])
    guard count > 0, Frame.isPlausible(encoding, bytes: stored.count, elements: count, type: type) else { return nil }
    var content: [UInt8] = []
    do {
      try FrameDecoder().decode(stored, encoding, type, count: count) { first, bytes in
        precondition(
          first * type.byteCount == content.count,
          "a block at element \(first), after \(content.count / type.byteCount) elements")
        content += bytes
        precondition(
          content.count <= count * type.byteCount,
          "\(content.count / type.byteCount) elements in a frame of \(count)")
        return true
      }
    } catch { return nil }
    return content
  }
}

/// A checkpoint whose manifest and single shard follow each other in the input.
enum CheckpointProbe {
  static func read(_ input: UnsafeRawBufferPointer) -> Any? {
    guard input.count >= 2 else { return nil }
    let cut = min(input.count - 2, Int(input[0]) << 8 | Int(input[1]))
    return read(
      manifest: Manifest.signed(Array(input[2..<2 + cut])), shard: Shard.header + Array(input[(2 + cut)...]))
  }

  static func read(manifest: [UInt8], shard: [UInt8]) -> Any? {
    let files = InputFiles(manifest: manifest, shard: shard)
    guard let reader = try? CheckpointReader("c", files: files) else { return nil }
    _ = try? CheckpointDifference(reader, reader, threads: 1)
    let tensors = reader.manifest.tensors.filter { $0.byteCount < 1 << 20 && $0.type == .float32 }
    let contents = tensors.map { try? reader.array($0.key, .float32, of: Float.self) }
    guard (try? CheckpointVerification(reader, threads: 1)) != nil else { return nil }
    return (reader.manifest, contents)
  }
}

/// Reads from the input and rejects writes. Every shard has the same bytes.
private struct InputFiles: FileLayer {
  let manifest: [UInt8]
  let shard: [UInt8]

  func openFile(_ path: String) throws(FileFault) -> any ReadableFile {
    InputFile(path.hasSuffix(".json") ? manifest : shard)
  }

  private func refuse(_ path: String) -> FileFault { FileFault("write", path: path, number: EROFS) }
  func createFile(_ path: String) throws(FileFault) -> any WritableFile { throw refuse(path) }
  func createDirectory(_ path: String) throws(FileFault) { throw refuse(path) }
  func rename(_ source: String, to target: String) throws(FileFault) { throw refuse(source) }
  func removeFile(_ path: String) throws(FileFault) { throw refuse(path) }
  func removeDirectory(_ path: String) throws(FileFault) { throw refuse(path) }
  func synchronizeDirectory(_ path: String) throws(FileFault) { throw refuse(path) }
  func names(in directory: String) throws(FileFault) -> [String] { [] }
}

private final class InputFile: ReadableFile {
  private let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  var byteCount: Int { bytes.count }

  func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileFault) -> Int {
    guard offset >= 0, offset < bytes.count else { return 0 }
    let count = min(target.count, bytes.count - offset)
    target.copyBytes(from: bytes[offset..<offset + count])
    return count
  }
}
