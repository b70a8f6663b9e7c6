import CKernels
import CZstd
import Exports

/// Turns elements into stored bytes. One encoder serves one thread.
///
/// The bytes depend on the elements alone (and on the version of zstd), not on threads or ranks.
package final class FrameEncoder {
  /// A stored slice; `bytes` is valid until the encoder's next call.
  package struct Result {
    package let encoding: FrameEncoding
    package let bytes: UnsafeRawBufferPointer
    package let hash: UInt64
  }

  private let context: OpaquePointer
  private var output = MemoryBlock(byteCount: 1 << 16)
  private let grouped = MemoryBlock(byteCount: 8 * Frame.blockElements)

  package init() {
    guard let context = ZSTD_createCCtx() else { preconditionFailure("no memory for a zstd context") }
    self.context = context
    // Plane bytes hold no repeats worth finding, only skewed frequencies: a match finder of 64 entries leaves it to the
    // entropy coder. On normal fp32 numbers that gives 1.203 at 1107 MB/s a thread, where zstd's level 1 gives 1.192
    // at 442, its level 3 on grouped bytes 1.169 at 262, and its level 3 on the plain bytes 1.080 at 366.
    for (parameter, value) in [
      (ZSTD_c_compressionLevel, 1), (ZSTD_c_strategy, Int32(ZSTD_fast.rawValue)), (ZSTD_c_windowLog, Frame.windowLog),
      (ZSTD_c_hashLog, 6), (ZSTD_c_minMatch, 7),
    ] {
      let code = ZSTD_CCtx_setParameter(context, parameter, value)
      precondition(ZSTD_isError(code) == 0, "zstd refuses parameter \(parameter.rawValue)")
    }
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Encodes elements of `type`.
  package func encode(_ bytes: UnsafeRawBufferPointer, _ type: SafetensorsDataType) -> Result {
    guard let start = bytes.baseAddress, !bytes.isEmpty, !ck_is_zero(start, Int64(bytes.count)) else {
      return result(.zeros, UnsafeRawBufferPointer(start: nil, count: 0))
    }
    let bound = ZSTD_compressBound(bytes.count)
    if output.byteCount < bound { output = MemoryBlock(byteCount: bound) }
    var target = ZSTD_outBuffer(dst: output.pointer, size: output.byteCount, pos: 0)
    check(ZSTD_CCtx_reset(context, ZSTD_reset_session_only))
    check(ZSTD_CCtx_setPledgedSrcSize(context, UInt64(bytes.count)))
    let width = type.byteCount
    let elements = bytes.count / width
    for first in stride(from: 0, to: elements, by: Frame.blockElements) {
      let count = min(Frame.blockElements, elements - first)
      let block = group(start + first * width, count, type)
      var source = ZSTD_inBuffer(src: block, size: count * width, pos: 0)
      let directive = first + count == elements ? ZSTD_e_end : ZSTD_e_continue
      repeat {
        let rest = ZSTD_compressStream2(context, &target, &source, directive)
        check(rest)
        if directive == ZSTD_e_end, rest == 0 { break }
      } while source.pos < source.size || directive == ZSTD_e_end
    }
    if bytes.count / Frame.largestRatio >= target.pos { return result(.raw, bytes) }
    return result(.zstd, UnsafeRawBufferPointer(start: output.pointer, count: target.pos))
  }

  private func group(_ start: UnsafeRawPointer, _ count: Int, _ type: SafetensorsDataType) -> UnsafeRawPointer {
    guard type.byteCount > 1 else { return start }
    ck_group_bytes(Int32(type.byteCount), Frame.isRotated(type), Int64(count), start, grouped.pointer)
    return UnsafeRawPointer(grouped.pointer)
  }

  private func result(_ encoding: FrameEncoding, _ bytes: UnsafeRawBufferPointer) -> Result {
    Result(encoding: encoding, bytes: bytes, hash: Frame.hash(bytes))
  }

  private func check(_ code: Int) {
    // The output has room for anything, so only a fault of this program can end here.
    precondition(ZSTD_isError(code) == 0, "zstd: \(String(cString: ZSTD_getErrorName(code)))")
  }
}

extension Frame {
  /// XXH64 of stored bytes.
  package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var nothing: UInt8 = 0
    return ck_xxh64(bytes.baseAddress ?? withUnsafeBytes(of: &nothing) { $0.baseAddress! }, Int64(bytes.count), 0)
  }
}
