import Exports

/// How the bytes of a slice are stored.
public enum FrameEncoding: String, Sendable, CaseIterable {
  /// Nothing is stored: every byte is zero.
  case zeros
  /// One zstd frame of the elements' bytes, grouped by place in blocks of `Frame.blockElements`.
  case zstd
  /// The elements themselves; used where a zstd frame would be smaller than any that readers accept (`Frame.largestRatio`).
  case raw
}

/// The rules of a stored slice's bytes.
public enum Frame {
  /// Elements whose bytes are grouped together: each byte plane is one block of zstd (128 KiB), with statistics of its own.
  public static let blockElements = 1 << 17
  /// A frame may expand to at most this many times its stored bytes, so that a small file cannot keep a reader busy.
  public static let largestRatio = 256
  /// The window that a reader must keep, as a power of two.
  static let windowLog: Int32 = 17

  /// Whether elements are rotated left by a bit before grouping, which leaves exponents alone in the last plane.
  static func isRotated(_ type: SafetensorsDataType) -> Bool {
    type == .float32 || type == .float16 || type == .bfloat16
  }

  /// Whether `bytes` stored bytes can hold `elements` of a type in an encoding; sums and products cannot overflow.
  package static func isPlausible(_ encoding: FrameEncoding, bytes: Int, elements: Int, type: SafetensorsDataType)
    -> Bool
  {
    let (raw, overflow) = elements.multipliedReportingOverflow(by: type.byteCount)
    guard !overflow, bytes >= 0 else { return false }
    switch encoding {
    case .zeros: return bytes == 0
    case .raw: return bytes == raw
    case .zstd:
      let (largest, overflow) = bytes.multipliedReportingOverflow(by: largestRatio)
      // zstd never needs more than a few bytes a block above the content.
      let (bound, overflow2) = raw.addingReportingOverflow(raw / 128 + 1024)
      return bytes > 0 && (overflow || raw <= largest) && !overflow2 && bytes <= bound
    }
  }
}
