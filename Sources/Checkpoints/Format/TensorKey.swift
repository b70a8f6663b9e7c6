import Tensors
import Exports
import Foundation

/// What a stored tensor is for.
public enum TensorKind: String, Sendable, CaseIterable, Comparable {
  /// A parameter or balance bias: what training changes.
  case master
  /// AdamW's moments, and their scales where they are kept in blocks of codes.
  case firstMoment = "first_moment"
  case firstMomentScales = "first_moment_scales"
  case secondMoment = "second_moment"
  case secondMomentScales = "second_moment_scales"
  /// π_old in packed form, where it is not the packing of the masters: codes (or fp32 values), and scales.
  case policy
  case policyScales = "policy_scales"
  /// The frozen reference of the KL term in packed form.
  case reference
  case referenceScales = "reference_scales"
  /// Rollouts sampled but not yet learned from.
  case rollout

  public static func < (left: Self, right: Self) -> Bool { left.order < right.order }
  private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// A stored tensor's identity: the parameter's global name, and what is stored of it.
public struct TensorKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let name: String
  public let kind: TensorKind

  public init(_ name: String, _ kind: TensorKind) {
    self.name = name
    self.kind = kind
  }

  /// By name in byte order, then by kind.
  public static func < (left: Self, right: Self) -> Bool {
    if left.name != right.name { return left.name.utf8.lexicographicallyPrecedes(right.name.utf8) }
    return left.kind < right.kind
  }

  public var description: String { kind == .master ? name : "\(name) (\(kind.rawValue))" }

  /// The number m of a name `mini_moes.m.…`, which decides the expert file.
  var miniMoE: Int? {
    guard name.hasPrefix("mini_moes.") else { return nil }
    let digits = name.dropFirst(10).prefix { $0 != "." }
    return digits.count <= 9 ? Int(digits) : nil
  }
}

/// A run of a tensor's elements in memory: what a rank writes, or wants to have filled.
public struct TensorPiece: @unchecked Sendable {
  public let key: TensorKey
  public let type: SafetensorsDataType
  /// Of the whole tensor.
  public let shape: [Int]
  /// Which elements of the tensor, row-major, lie at `memory`.
  public let range: Range<Int>
  /// Nil where the piece is a whole tensor; otherwise the number of the rank that alone holds it.
  public let part: Int?
  public let memory: UnsafeMutableRawPointer
  /// What keeps the memory alive.
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

  /// A piece of its own memory, a whole tensor with these elements.
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

  /// The same elements in memory of their own.
  func copied() -> TensorPiece {
    let block = MemoryBlock(byteCount: byteCount)
    block.pointer.copyMemory(from: memory, byteCount: byteCount)
    return TensorPiece(key, type, shape, range: range, part: part, memory: block.pointer, owner: block)
  }
}

/// Bytes that live as long as the object.
final class MemoryBlock: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    pointer = AlignedMemory.allocate(max(1, byteCount))
  }

  deinit {
    AlignedMemory.free(pointer, max(1, byteCount))
  }
}

extension TensorPiece {
  /// The same pieces in memory of their own, copied by several threads.
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
