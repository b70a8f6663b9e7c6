import Formats
import Foundation

/// Reads a whole checkpoint and checks everything in its manifest: hashes, frames, coverage (already checked on
/// opening), and that floating-point numbers are finite.
public struct CheckpointVerification: Sendable, Equatable {
  /// The numbers of tensors, slices and bytes read.
  public var tensors = 0
  public var slices = 0
  public var storedBytes = 0
  public var bytes = 0

  /// - Parameter progress: called with the stored bytes read so far and in total.
  /// - Throws: `CheckpointError` naming file, tensor and offset of the first error; `notFinite` names the element.
  public init(_ reader: CheckpointReader, threads: Int, progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in })
    throws
  {
    let all = reader.manifest.tensors
    let total = reader.manifest.storedByteCount
    let turns = OrderedTurns(count: all.count)
    let meter = ProgressMeter(total: total, progress)
    Workers.run(min(threads, max(1, all.count))) { _ in
      let workspace = CheckpointReader.Workspace()
      while let number = turns.next() {
        do {
          try Self.check(all[number], reader, workspace)
          meter.add(all[number].storedByteCount)
        } catch { turns.fail(error) }
      }
    }
    try turns.check()
    tensors = all.count
    slices = all.reduce(0) { $0 + $1.slices.count }
    storedBytes = total
    bytes = all.reduce(0) { $0 + $1.byteCount }
  }

  static func check(
    _ tensor: Manifest.Tensor, _ reader: CheckpointReader, _ workspace: CheckpointReader.Workspace
  ) throws {
    // Zeros need no check, whatever number of them a manifest claims.
    if tensor.slices.allSatisfy({ $0.encoding == .zeros }) { return }
    try reader.finiteElements(of: tensor, workspace) { _, _ in }
  }
}
