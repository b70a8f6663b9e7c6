import CKernels
import CZstd

/// Bytes as one zstd frame, after grouping the bytes of wide elements by significance (all first bytes, then all second
/// bytes, …; the sign rotated to the lowest bit): exponents compress well once mantissas are apart.
enum ZstdFrame {
  /// Compresses `bytes`, elements of `width` bytes each (1, 2 or 4).
  static func compress(_ bytes: UnsafeRawBufferPointer, width: Int, level: Int32) -> [UInt8]? {
    let grouped = group(bytes, width: width)
    let bound = ZSTD_compressBound(bytes.count)
    var isGood = true
    let frame = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
      let written = grouped.withUnsafeBytes {
        ZSTD_compress(target.baseAddress, bound, $0.baseAddress, $0.count, level)
      }
      isGood = ZSTD_isError(written) == 0
      count = isGood ? written : 0
    }
    return isGood ? frame : nil
  }

  /// Decompresses a frame; false if it does not have exactly `target.count` bytes.
  static func decompress(
    _ frame: UnsafeRawBufferPointer, width: Int, into target: UnsafeMutableRawBufferPointer
  ) -> Bool {
    if width == 1 { return expand(frame, into: target) }
    let grouped = UnsafeMutableRawBufferPointer.allocate(byteCount: target.count, alignment: 64)
    defer { grouped.deallocate() }
    guard expand(frame, into: grouped) else { return false }
    ck_ungroup_bytes(Int32(width), true, Int64(target.count / width), grouped.baseAddress, target.baseAddress)
    return true
  }

  private static func expand(_ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Bool {
    let count = ZSTD_decompress(target.baseAddress, target.count, frame.baseAddress, frame.count)
    return ZSTD_isError(count) == 0 && count == target.count
  }

  private static func group(_ bytes: UnsafeRawBufferPointer, width: Int) -> [UInt8] {
    guard width > 1 else { return Array(bytes) }
    return [UInt8](unsafeUninitializedCapacity: bytes.count) { target, count in
      ck_group_bytes(Int32(width), true, Int64(bytes.count / width), bytes.baseAddress, target.baseAddress)
      count = bytes.count
    }
  }
}
