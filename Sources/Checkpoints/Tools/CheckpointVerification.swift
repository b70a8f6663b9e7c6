import Exports
import Foundation

/// Reads a whole checkpoint and proves every claim of its manifest: hashes, frames, coverage (already at opening), and
/// that its floating-point numbers are finite.
public struct CheckpointVerification: Sendable, Equatable {
  /// Tensors, slices and bytes read.
  public var tensors = 0
  public var slices = 0
  public var storedBytes = 0
  public var bytes = 0

  /// - Parameter progress: called with stored bytes read so far and in all.
  /// - Throws: `CheckpointError` naming file, tensor and offset of the first fault; `notFinite` names the element.
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
    // Zeros are zeros, however many a manifest claims.
    if tensor.slices.allSatisfy({ $0.encoding == .zeros }) { return }
    try reader.finiteElements(of: tensor, workspace) { _, _ in }
  }
}

/// Finds numbers that are no numbers.
enum FiniteCheck {
  /// The first element whose exponent is all ones; nil where there is none, or the type has none.
  static func firstNonfinite(_ bytes: UnsafeRawBufferPointer, _ type: SafetensorsDataType) -> Int? {
    func first<Word: FixedWidthInteger>(_ mask: Word) -> Int? {
      let words = bytes.bindMemory(to: Word.self)
      var any = false
      for word in words { any = any || word & mask == mask }
      return any ? words.firstIndex { $0 & mask == mask } : nil
    }
    switch type {
    case .float32: return first(UInt32(0x7F80_0000))
    case .float16: return first(UInt16(0x7C00))
    case .bfloat16: return first(UInt16(0x7F80))
    case .float64: return first(UInt64(0x7FF0_0000_0000_0000))
    case .bool, .uint8, .int8, .int16, .int32, .int64: return nil
    }
  }
}

/// Adds what several threads have done.
final class ProgressMeter: @unchecked Sendable {
  private let lock = NSLock()
  private var done = 0
  private let total: Int
  private let report: @Sendable (Int, Int) -> Void

  init(total: Int, _ report: @escaping @Sendable (Int, Int) -> Void) {
    self.total = total
    self.report = report
  }

  func add(_ count: Int) {
    lock.withLock {
      done += count
      report(done, total)
    }
  }
}
