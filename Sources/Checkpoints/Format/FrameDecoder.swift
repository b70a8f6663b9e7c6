import CKernels
import CZstd
import Formats

/// Turns stored bytes, whose hash has been checked, back into elements. One decoder serves one thread.
///
/// Memory does not depend on the input: two blocks of elements and zstd's window, which is limited.
package final class FrameDecoder {
  /// Why this program cannot have written the stored bytes.
  package struct Fault: Error {
    /// The offset in the slice.
    package let offset: Int
    package let problem: String
  }

  private let context: OpaquePointer
  private let grouped = MemoryBlock(byteCount: 8 * Frame.blockElements)
  private let elements = MemoryBlock(byteCount: 8 * Frame.blockElements)

  package init() {
    guard let context = ZSTD_createDCtx() else { preconditionFailure("no memory for a zstd context") }
    self.context = context
    let code = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 20)
    precondition(ZSTD_isError(code) == 0, "zstd refuses a window limit")
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Calls `body(first, bytes)` for one block of elements after another, in order; `bytes` is valid during the call.
  /// Returning false ends early.
  ///
  /// - Throws: `Fault`, and whatever `body` throws.
  package func decode(
    _ stored: UnsafeRawBufferPointer, _ encoding: FrameEncoding, _ type: SafetensorsDataType, count: Int,
    _ body: (Int, UnsafeRawBufferPointer) throws -> Bool
  ) throws {
    let width = type.byteCount
    switch encoding {
    case .zeros:
      elements.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: min(count, Frame.blockElements) * width)
      for first in stride(from: 0, to: count, by: Frame.blockElements) {
        let length = min(Frame.blockElements, count - first)
        guard try body(first, UnsafeRawBufferPointer(start: elements.pointer, count: length * width)) else { return }
      }
    case .raw:
      guard stored.count == count * width else {
        throw Fault(offset: stored.count, problem: "\(stored.count) bytes for \(count) elements of \(width)")
      }
      for first in stride(from: 0, to: count, by: Frame.blockElements) {
        let length = min(Frame.blockElements, count - first)
        let bytes = UnsafeRawBufferPointer(rebasing: stored[first * width..<(first + length) * width])
        guard try body(first, bytes) else { return }
      }
    case .zstd: try decompress(stored, type, count: count, body)
    }
  }

  private func decompress(
    _ stored: UnsafeRawBufferPointer, _ type: SafetensorsDataType, count: Int,
    _ body: (Int, UnsafeRawBufferPointer) throws -> Bool
  ) throws {
    let width = type.byteCount
    let declared = ZSTD_getFrameContentSize(stored.baseAddress, stored.count)
    guard declared == UInt64(count * width) else {
      throw Fault(offset: 0, problem: "the zstd frame does not hold \(count * width) bytes")
    }
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
    var source = ZSTD_inBuffer(src: stored.baseAddress, size: stored.count, pos: 0)
    for first in stride(from: 0, to: count, by: Frame.blockElements) {
      let length = min(Frame.blockElements, count - first)
      let isLast = first + length == count
      let buffer = width > 1 ? grouped.pointer : elements.pointer
      var target = ZSTD_outBuffer(dst: buffer, size: length * width, pos: 0)
      var rest = 1
      while target.pos < target.size || (isLast && rest != 0) {
        let before = (source.pos, target.pos)
        rest = ZSTD_decompressStream(context, &target, &source)
        guard ZSTD_isError(rest) == 0 else {
          throw Fault(offset: source.pos, problem: "zstd: \(String(cString: ZSTD_getErrorName(rest)))")
        }
        // The frame ended, or neither consumes nor produces bytes, before its content is complete.
        let isStuck = before == (source.pos, target.pos) && rest != 0
        guard !isStuck, rest != 0 || (isLast && target.pos == target.size) else {
          throw Fault(offset: source.pos, problem: "the zstd frame ends early")
        }
      }
      if width > 1 {
        ck_ungroup_bytes(Int32(width), Frame.isRotated(type), Int64(length), grouped.pointer, elements.pointer)
      }
      guard try body(first, UnsafeRawBufferPointer(start: elements.pointer, count: length * width)) else { return }
    }
    guard source.pos == source.size else {
      throw Fault(offset: source.pos, problem: "bytes follow the zstd frame")
    }
  }
}
