import CKernels
import Formats
import Foundation

/// The differences between two checkpoints, by tensor.
public struct CheckpointDifference: Sendable, Equatable {
  /// A tensor that differs.
  public struct Row: Sendable, Equatable {
    public var key: TensorKey
    /// `only in A`, `only in B`, the two types or the two shapes; nil if only elements differ.
    public var problem: String?
    /// The number of elements that differ.
    public var count = 0
    /// The maximum |a − b|; nil if the elements are not floating-point numbers.
    public var largest: Double?
    /// The element with the maximum difference.
    public var place = 0
  }

  /// The tensors that differ, by key.
  public var rows: [Row] = []
  /// The number of tensors compared.
  public var tensors = 0
  public var isIdentical: Bool { rows.isEmpty }

  /// - Throws: `CheckpointError` if either is damaged.
  public init(
    _ left: CheckpointReader, _ right: CheckpointReader, threads: Int,
    progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) throws {
    let keys = Set(left.manifest.tensors.map(\.key)).union(right.manifest.tensors.map(\.key)).sorted()
    let turns = OrderedTurns(count: keys.count)
    let meter = ProgressMeter(total: keys.count, progress)
    let found = Rows(count: keys.count)
    Workers.run(min(threads, max(1, keys.count))) { _ in
      let comparison = Comparison(left, right)
      while let number = turns.next() {
        do {
          found.set(number, try comparison.row(keys[number]))
          meter.add(1)
        } catch { turns.fail(error) }
      }
    }
    try turns.check()
    rows = found.all
    tensors = keys.count
  }

  private final class Rows: @unchecked Sendable {
    private let lock = NSLock()
    private var rows: [Row?]
    init(count: Int) { rows = Array(repeating: nil, count: count) }
    func set(_ number: Int, _ row: Row?) { lock.withLock { rows[number] = row } }
    var all: [Row] { rows.compactMap { $0 } }
  }

  /// Compares on one thread, block by block.
  private final class Comparison {
    let readers: (CheckpointReader, CheckpointReader)
    let workspaces = (CheckpointReader.Workspace(), CheckpointReader.Workspace())

    init(_ left: CheckpointReader, _ right: CheckpointReader) { readers = (left, right) }

    func row(_ key: TensorKey) throws -> Row? {
      guard let left = readers.0.manifest.tensor(key) else { return Row(key: key, problem: "only in B") }
      guard let right = readers.1.manifest.tensor(key) else { return Row(key: key, problem: "only in A") }
      if left.type != right.type { return Row(key: key, problem: "\(left.type.rawValue), \(right.type.rawValue)") }
      if left.shape != right.shape { return Row(key: key, problem: "\(left.shape), \(right.shape)") }
      if left.slices.allSatisfy({ $0.encoding == .zeros }), right.slices.allSatisfy({ $0.encoding == .zeros }) {
        return nil
      }
      var row = Row(key: key)
      try readers.0.elements(of: left, workspaces.0) { first, bytes in
        let range = first..<first + bytes.count / left.type.byteCount
        try self.readers.1.elements(of: right, self.workspaces.1, within: range) { start, others in
          let block = (start..<start + others.count / left.type.byteCount).clamped(to: range)
          guard !block.isEmpty else { return }
          let width = left.type.byteCount
          let a = UnsafeRawBufferPointer(
            rebasing: bytes[(block.lowerBound - first) * width..<(block.upperBound - first) * width])
          let b = UnsafeRawBufferPointer(
            rebasing: others[(block.lowerBound - start) * width..<(block.upperBound - start) * width])
          if memcmp(a.baseAddress!, b.baseAddress!, a.count) != 0 { row.add(a, b, left.type, first: block.lowerBound) }
        }
      }
      return row.count > 0 ? row : nil
    }
  }
}

extension CheckpointDifference.Row {
  fileprivate mutating func add(
    _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ type: SafetensorsDataType, first: Int
  ) {
    let width = type.byteCount
    for index in 0..<a.count / width {
      let range = index * width..<(index + 1) * width
      guard !a[range].elementsEqual(b[range]) else { continue }
      count += 1
      let difference = abs(Self.number(a, index, type) - Self.number(b, index, type))
      if !(difference <= largest ?? -1) {
        largest = difference
        place = first + index
      }
    }
  }

  private static func number(_ bytes: UnsafeRawBufferPointer, _ index: Int, _ type: SafetensorsDataType) -> Double {
    func load<Value: BitwiseCopyable>(_: Value.Type) -> Value {
      bytes.loadUnaligned(fromByteOffset: index * type.byteCount, as: Value.self)
    }
    switch type {
    case .float32: return Double(load(Float.self))
    case .float64: return load(Double.self)
    case .bfloat16: return Double(Float(bitPattern: UInt32(load(UInt16.self)) << 16))
    case .float16: return Double(ck_f32_from_f16(load(UInt16.self)))
    case .bool, .uint8: return Double(load(UInt8.self))
    case .int8: return Double(load(Int8.self))
    case .int16: return Double(load(Int16.self))
    case .int32: return Double(load(Int32.self))
    case .int64: return Double(load(Int64.self))
    }
  }
}
