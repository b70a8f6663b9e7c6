import CKernels
import Foundation
import LowBit

/// The index at the end of a packed model: the contents of the file and their offsets.
///
/// A file is
///
///     64 bytes   "QPACKED\0", version (UInt32), zeros
///     parts      each at a multiple of 64 bytes, zeros between
///     index      JSON (this type) at a multiple of 64 bytes
///     32 bytes   offset, byte count and XXH64 of the index (UInt64 each), "QPACKEND"
///
/// with all integers little-endian. Parts follow one another without holes, so every byte of the file belongs to a
/// known part.
struct PackedFileIndex: Codable, Equatable {
  /// Consecutive bytes of a tensor.
  struct Part: Codable, Equatable {
    enum Kind: String, Codable {
      /// Rows of codes or floating values, as `PackedWeights` exports them.
      case rows
      /// fp32 scales of the rows.
      case scales
      /// The kernels' own bytes of a stack, and their scales.
      case kernelData = "kernel_data"
      case kernelScales = "kernel_scales"
      /// fp32 values of a parameter that is not a linear weight.
      case values
    }

    let kind: Kind
    let offset: Int
    /// Bytes in the file.
    let bytes: Int
    /// Bytes after decompression; equal to `bytes` in the mapped layout.
    let content: Int
    /// XXH64 of the bytes in the file, sixteen hexadecimal digits.
    let xxh64: String

    enum CodingKeys: String, CodingKey {
      case kind, offset, bytes, content, xxh64
    }
  }

  struct Tensor: Codable, Equatable {
    let name: String
    let shape: [Int]
    /// A `NumberFormat`.
    let format: String
    /// Inputs that share a scale; 0 without scales.
    let group: Int
    let parts: [Part]
  }

  static let magic = Array("QPACKED\0".utf8)
  static let endMagic = Array("QPACKEND".utf8)
  static let version: UInt32 = 1
  static let headerBytes = 64
  static let trailerBytes = 32
  static let alignment = 64
  static let largestIndex = 64 << 20

  let layout: PackedFile.Layout
  /// `PackedWeights.layoutFingerprint` of each format, for the mapped layout; otherwise empty.
  let kernelLayout: [String: String]
  let configuration: ConfigurationTree
  let metadata: [String: String]
  let tensors: [Tensor]

  enum CodingKeys: String, CodingKey {
    case layout, configuration, metadata, tensors
    case kernelLayout = "kernel_layout"
  }

  static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }

  static func hex(_ hash: UInt64) -> String {
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// This machine's fingerprints.
  static var kernelLayout: [String: String] {
    Dictionary(
      uniqueKeysWithValues: NumberFormat.allCases.map { ($0.rawValue, hex(PackedWeights.layoutFingerprint($0))) })
  }

  /// Reads and validates the index of `bytes`, a whole file.
  static func read(_ bytes: UnsafeRawBufferPointer, path: String) throws(PackedFileError) -> (PackedFileIndex, Int) {
    let again = "write it again with quillan quantize, or copy it again"
    guard bytes.count >= magic.count, bytes.prefix(magic.count).elementsEqual(magic) else {
      throw PackedFileError(
        .foreign, path: path, "is not a packed model (it does not start with QPACKED)",
        remedy: "give a file that quillan quantize wrote")
    }
    guard bytes.count >= headerBytes + trailerBytes else {
      throw PackedFileError(.truncated, path: path, offset: bytes.count, "the file ends here", remedy: again)
    }
    let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    guard version == Self.version else {
      throw PackedFileError(
        .newer, path: path, offset: 8, "is of version \(version) of the format; this program reads \(Self.version)",
        remedy: "use the program that wrote it, or write it again with this one")
    }
    guard bytes[12..<headerBytes].allSatisfy({ $0 == 0 }) else {
      throw PackedFileError(.corrupt, path: path, offset: 12, "has bytes where the header is zero", remedy: again)
    }
    let end = bytes.count - trailerBytes
    func word(_ index: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: end + 8 * index, as: UInt64.self))
    }
    guard bytes.suffix(endMagic.count).elementsEqual(endMagic), let offset = Int(exactly: word(0)),
      let count = Int(exactly: word(1)), count <= largestIndex, offset >= headerBytes, offset % alignment == 0,
      offset <= end, end - offset == count
    else {
      throw PackedFileError(
        .truncated, path: path, offset: end, "the end of the file is missing or damaged", remedy: again)
    }
    let text = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    guard ck_xxh64(text.baseAddress, Int64(count), 0) == word(2) else {
      throw PackedFileError(.corrupt, path: path, offset: offset, "the index does not match its hash", remedy: again)
    }
    let index: PackedFileIndex
    do {
      index = try JSONDecoder().decode(PackedFileIndex.self, from: Data(text))
    } catch {
      throw PackedFileError(
        .corrupt, path: path, offset: offset, "the index does not describe a packed model", remedy: again)
    }
    try index.checkCoverage(bytes, indexOffset: offset, path: path)
    return (index, offset)
  }

  /// Checks that parts follow one another from the header to the index, with zeros between.
  private func checkCoverage(
    _ bytes: UnsafeRawBufferPointer, indexOffset: Int, path: String
  ) throws(PackedFileError) {
    var next = Self.headerBytes
    var names: Set<String> = []
    let parts = tensors.flatMap { tensor in tensor.parts.map { (tensor.name, $0) } }.sorted {
      $0.1.offset < $1.1.offset
    }
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw PackedFileError(
        .corrupt, path: path, tensor: tensor.name, "appears twice", remedy: "write the file again")
    }
    for (name, part) in parts {
      guard part.offset == next, part.bytes >= 0, part.content >= 0, part.bytes <= indexOffset - part.offset else {
        throw PackedFileError(
          .corrupt, path: path, tensor: name, offset: part.offset,
          "its \(part.bytes) bytes do not follow the previous part, which ends at \(next)",
          remedy: "write the file again")
      }
      let end = part.offset + part.bytes
      next = Self.aligned(end)
      guard next <= indexOffset, bytes[end..<next].allSatisfy({ $0 == 0 }) else {
        throw PackedFileError(
          .corrupt, path: path, tensor: name, offset: end, "has bytes after it that belong to no tensor",
          remedy: "write the file again")
      }
    }
    guard next == indexOffset else {
      throw PackedFileError(
        .corrupt, path: path, offset: next, "\(indexOffset - next) bytes belong to no tensor",
        remedy: "write the file again")
    }
  }
}
