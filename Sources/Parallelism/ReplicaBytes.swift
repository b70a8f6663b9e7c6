import CKernels
import CZstd
import LowBit
import Parameters

/// The packed tensors of one mini-MoE as bytes, in table order: the data that a publication compares and sends.
///
/// A message has one byte for the kind (0: XOR with the last publication, 1: the bytes themselves), eight bytes for the
/// XXH64 of the new bytes, and a zstd frame.
struct ReplicaBytes {
  private struct Block {
    let memory: UnsafeMutableRawBufferPointer
    /// Bits per code; 0 for scales.
    let codeBits: Int
  }

  private let blocks: [Block]
  let count: Int
  private static let header = 9
  private static let level: Int32 = 1

  init(_ model: PackedModel, miniMoE: Int) {
    var blocks: [Block] = []
    for id in model.table.ids where model.table[id].miniMoE == miniMoE {
      var bits = 32
      if case .linear(let format) = model.table[id].role { bits = format.codeBits }
      for (index, memory) in model.memory(id).enumerated() {
        blocks.append(Block(memory: memory, codeBits: index == 0 ? bits : 0))
      }
    }
    self.blocks = blocks
    count = blocks.reduce(0) { $0 + $1.memory.count }
  }

  private var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    for block in blocks { result.append(contentsOf: block.memory) }
    return result
  }

  /// Number of codes that differ from `old`, and number of all codes. Padding counts as unchanged codes.
  func changedCodes(since old: ReplicaBytes) -> (changed: Int, all: Int) {
    var changed = 0
    var all = 0
    for (new, old) in zip(blocks, old.blocks) where new.codeBits > 0 {
      all += new.memory.count * 8 / new.codeBits
      if new.codeBits >= 8 {
        let width = new.codeBits / 8
        for start in stride(from: 0, to: new.memory.count, by: width) {
          var differs = false
          for byte in start..<start + width where new.memory[byte] != old.memory[byte] { differs = true }
          if differs { changed += 1 }
        }
      } else {
        let mask = UInt8(1 << new.codeBits - 1)
        for byte in 0..<new.memory.count {
          var difference = new.memory[byte] ^ old.memory[byte]
          while difference != 0 {
            if difference & mask != 0 { changed += 1 }
            difference >>= UInt8(new.codeBits)
          }
        }
      }
    }
    return (changed, all)
  }

  /// The message that turns `old` into these bytes.
  func message(since old: ReplicaBytes) throws(ReplicaError.Fault) -> [UInt8] {
    let new = bytes
    var difference = new
    var position = 0
    for block in old.blocks {
      for byte in block.memory {
        difference[position] ^= byte
        position += 1
      }
    }
    let hash = Self.hash(new)
    let changes = try Self.compress(difference, kind: 0, hash)
    // If few bytes changed, the difference is far smaller. Compressing the bytes themselves can only win beyond half
    // their size.
    guard changes.count > count / 2 else { return changes }
    let complete = try Self.compress(new, kind: 1, hash)
    return complete.count < changes.count ? complete : changes
  }

  /// Applies `message` in place.
  func apply(_ message: [UInt8]) throws(ReplicaError.Fault) {
    guard message.count > Self.header, message[0] <= 1 else { throw .damaged }
    var result = [UInt8](repeating: 0, count: count)
    let length = result.withUnsafeMutableBytes { target in
      message.withUnsafeBytes { source in
        ZSTD_decompress(
          target.baseAddress, target.count, source.baseAddress.map { $0 + Self.header }, source.count - Self.header)
      }
    }
    guard ZSTD_isError(length) == 0, length == count else { throw .damaged }
    if message[0] == 0 {
      var position = 0
      for block in blocks {
        for byte in block.memory {
          result[position] ^= byte
          position += 1
        }
      }
    }
    guard Self.hash(result) == Array(message[1..<Self.header]) else { throw .differs }
    var position = 0
    for block in blocks {
      result.withUnsafeBytes {
        block.memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + block.memory.count]))
      }
      position += block.memory.count
    }
  }

  private static func hash(_ bytes: [UInt8]) -> [UInt8] {
    let value = bytes.withUnsafeBytes { ck_xxh64($0.baseAddress, Int64($0.count), 0) }
    return withUnsafeBytes(of: value.littleEndian, Array.init)
  }

  private static func compress(_ bytes: [UInt8], kind: UInt8, _ hash: [UInt8]) throws(ReplicaError.Fault) -> [UInt8] {
    let bound = header + ZSTD_compressBound(bytes.count)
    var failed = false
    let result = [UInt8](unsafeUninitializedCapacity: bound) { target, length in
      target.initialize(repeating: 0)
      target[0] = kind
      for (index, byte) in hash.enumerated() { target[1 + index] = byte }
      let size = bytes.withUnsafeBytes {
        ZSTD_compress(
          target.baseAddress.map { UnsafeMutableRawPointer($0 + header) }, bound - header, $0.baseAddress, $0.count,
          level)
      }
      failed = ZSTD_isError(size) != 0
      length = failed ? 0 : header + size
    }
    guard !failed else { throw .memory }
    return result
  }
}

extension NumberFormat {
  /// Bits of one packed value.
  fileprivate var codeBits: Int {
    switch self {
    case .fp32: 32
    case .fp16, .bf16: 16
    case .int8: 8
    case .int4: 4
    case .ternary: 2
    }
  }
}
