import Formats
import Foundation

/// Consecutive elements of a tensor in memory, which a rank saves or loads.
public struct TensorPiece: @unchecked Sendable {
  public let key: TensorKey
  public let type: SafetensorsDataType
  /// The shape of the whole tensor.
  public let shape: [Int]
  /// The elements of the tensor, row-major, at `memory`.
  public let range: Range<Int>
  /// The only rank that holds these elements; nil if several ranks hold the whole tensor.
  public let part: Int?
  public let memory: UnsafeMutableRawPointer
  /// The owner of the memory.
  private let owner: AnyObject?

  /// - Precondition: `range` lies in the tensor; `memory` holds its elements as long as `owner` lives.
  public init(
    _ key: TensorKey, _ type: SafetensorsDataType, _ shape: [Int], range: Range<Int>? = nil, part: Int? = nil,
    memory: UnsafeMutableRawPointer, owner: AnyObject?
  ) {
    self.key = key
    self.type = type
    self.shape = shape
    self.range = range ?? 0..<shape.reduce(1, *)
    self.part = part
    self.memory = memory
    self.owner = owner
  }

  /// A whole tensor with these elements, in new memory.
  public init<Element: BitwiseCopyable>(
    _ key: TensorKey, _ type: SafetensorsDataType, _ shape: [Int], part: Int? = nil, elements: [Element]
  ) {
    precondition(
      MemoryLayout<Element>.stride == type.byteCount && shape.reduce(1, *) == elements.count,
      "\(elements.count) elements for \(type.rawValue) \(shape)")
    let block = MemoryBlock(byteCount: elements.count * type.byteCount)
    elements.withUnsafeBytes {
      block.pointer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block.pointer), byteCount: $0.count)
    }
    self.init(key, type, shape, part: part, memory: block.pointer, owner: block)
  }

  public var byteCount: Int { range.count * type.byteCount }
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: byteCount) }

  /// A copy in new memory.
  func copied() -> TensorPiece {
    let block = MemoryBlock(byteCount: byteCount)
    block.pointer.copyMemory(from: memory, byteCount: byteCount)
    return TensorPiece(key, type, shape, range: range, part: part, memory: block.pointer, owner: block)
  }
}

extension TensorPiece {
  /// Copies in new memory, made by several threads.
  public static func copies(of pieces: [TensorPiece], threads: Int) -> [TensorPiece] {
    let copies = CopiedPieces(count: pieces.count)
    let turns = OrderedTurns(count: pieces.count)
    Workers.run(min(threads, max(1, pieces.count))) { _ in
      while let number = turns.next() { copies.set(number, pieces[number].copied()) }
    }
    return copies.all
  }
}

private final class CopiedPieces: @unchecked Sendable {
  private let lock = NSLock()
  private var pieces: [TensorPiece?]

  init(count: Int) { pieces = Array(repeating: nil, count: count) }

  func set(_ number: Int, _ piece: TensorPiece) { lock.withLock { pieces[number] = piece } }
  var all: [TensorPiece] { pieces.compactMap { $0 } }
}
