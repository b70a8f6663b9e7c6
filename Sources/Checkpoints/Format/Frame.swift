import Formats

/// How the bytes of a slice are stored.
public enum FrameEncoding: String, Sendable, Codable, CaseIterable {
  /// Nothing is stored: every byte is zero.
  case zeros
  /// One zstd frame of the elements' bytes, grouped by significance in blocks of `Frame.blockElements`.
  case zstd
  /// The elements themselves; used if a zstd frame would be smaller than readers accept (`Frame.largestRatio`).
  case raw
}

/// The limits of a stored slice's bytes.
public enum Frame {
  /// The number of elements whose bytes are grouped together: each byte plane is one zstd block (128 KiB) with its own
  /// statistics.
  public static let blockElements = 1 << 17
  /// A frame may expand to at most this many times its stored bytes, so that a small file cannot keep a reader busy.
  public static let largestRatio = 256
  /// The base-2 logarithm of the window that a reader must keep.
  static let windowLog: Int32 = 17

  /// Whether elements are rotated left by a bit before grouping, so that the last plane holds only exponents.
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
      // zstd needs at most a few bytes per block more than the content.
      let (bound, overflow2) = raw.addingReportingOverflow(raw / 128 + 1024)
      return bytes > 0 && (overflow || raw <= largest) && !overflow2 && bytes <= bound
    }
  }
}
