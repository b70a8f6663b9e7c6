import Formats

/// Finds values that are NaN or infinite.
enum FiniteCheck {
  /// The first element whose exponent is all ones; nil if there is none, or the type has no exponent.
  static func firstNonfinite(_ bytes: UnsafeRawBufferPointer, _ type: SafetensorsDataType) -> Int? {
    func first<Word: FixedWidthInteger>(_ mask: Word) -> Int? {
      let words = bytes.bindMemory(to: Word.self)
      var any = false
      for word in words { any = any || word & mask == mask }
      return any ? words.firstIndex { $0 & mask == mask } : nil
    }
    switch type {
    case .float32: return first(UInt32(0x7F80_0000))
    case .float16: return first(UInt16(0x7C00))
    case .bfloat16: return first(UInt16(0x7F80))
    case .float64: return first(UInt64(0x7FF0_0000_0000_0000))
    case .bool, .uint8, .int8, .int16, .int32, .int64: return nil
    }
  }
}
