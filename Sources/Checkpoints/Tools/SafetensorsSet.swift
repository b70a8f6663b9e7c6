import Formats
import Foundation

/// One safetensors file, or several with an index.
final class SafetensorsSet {
  private let files: [SafetensorsFile]
  private let path: String

  init(_ path: String) throws {
    self.path = path
    guard CheckpointReader.exists(path) else {
      files = [try SafetensorsFile(path: path)]
      return
    }
    // The index is used only for the names of files; their headers tell which tensors they have.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let parts = names.filter { $0.hasSuffix(".safetensors") }.sorted()
    guard !parts.isEmpty else {
      throw CheckpointError(
        .inaccessible, path: path, problem: "there is no safetensors file in this directory",
        remedy: "name a safetensors file, or a directory of them")
    }
    files = try parts.map { try SafetensorsFile(path: "\(path)/\($0)") }
  }

  /// The concatenated elements of a tensor's sources, as fp32.
  func floats(_ wanted: SafetensorsConversion.Wanted) throws -> MemoryBlock {
    let count = wanted.shape.reduce(1, *)
    let block = MemoryBlock(byteCount: count * 4)
    var done = 0
    for source in wanted.sources {
      let holders = files.filter { $0.tensors[source] != nil }
      guard let file = holders.first, holders.count == 1, let entry = file.tensors[source] else {
        throw CheckpointError(
          holders.isEmpty ? .missingTensor : .inconsistentLayout, path: path, tensor: source,
          problem: holders.isEmpty ? "no file contains it" : "\(holders.count) files contain it",
          remedy: "name the source's tensors in a map (--map)")
      }
      let end = done + entry.elementCount
      guard end <= count, wanted.sources.count > 1 || entry.shape == wanted.shape else {
        throw CheckpointError(
          .mismatch, path: file.path, tensor: source,
          problem: "has shape \(entry.shape), '\(wanted.name)' needs \(wanted.shape)",
          remedy: "use the configuration of these weights")
      }
      let target = block.pointer + done * 4
      if entry.dataType == .float32 {
        try file.read(source, into: UnsafeMutableRawBufferPointer(start: target, count: entry.byteRange.count))
      } else {
        let values = try file.floats(source)
        values.withUnsafeBytes {
          target.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(target), byteCount: $0.count)
        }
      }
      done = end
    }
    let bytes = UnsafeRawBufferPointer(start: block.pointer, count: done * 4)
    if let index = FiniteCheck.firstNonfinite(bytes, .float32) {
      throw CheckpointError(
        .notFinite, path: path, tensor: wanted.name, problem: "element \(index) is not finite",
        remedy: "use weights from before the run diverged")
    }
    guard done == count else {
      throw CheckpointError(
        .mismatch, path: path, tensor: wanted.name, problem: "its sources have \(done) elements, it needs \(count)",
        remedy: "correct the map")
    }
    return block
  }
}
