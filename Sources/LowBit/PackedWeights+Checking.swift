import Tensors

extension PackedWeights {
  /// Whether every code, value and scale is one that packing can give, for memory that came from elsewhere.
  ///
  /// Codes lie in bytes of their own whatever the order of rows (`ck_packed`), so their order does not matter here.
  public var isSound: Bool {
    switch format {
    case .fp32: return data.isFinite(UInt32(0x7F80_0000))
    case .fp16: return data.isFinite(UInt16(0x7C00))
    case .bf16: return data.isFinite(UInt16(0x7F80))
    case .ternary:
      // Code 3 of two bits is none.
      return data.bufferPointer.reduce(UInt8(0)) { $0 | ($1 & $1 >> 1 & 0x55) } == 0 && hasSoundScales
    case .int4:
      // Code 0 of four bits is none.
      return data.bufferPointer.reduce(UInt8(0x11)) { $0 & ($1 | $1 >> 1 | $1 >> 2 | $1 >> 3) } == 0x11
        && hasSoundScales
    case .int8: return !data.bufferPointer.contains(0) && hasSoundScales
    }
  }

  /// Scales of rows are above 0, those of the rows that fill up the last panel are 0.
  private var hasSoundScales: Bool {
    let groups = Int(descriptor.groups)
    return scales.bufferPointer.enumerated().allSatisfy { index, scale in
      let row = index / (16 * groups) % panels * 16 + index % 16
      return row < rows ? scale > 0 && scale.isFinite : scale == 0
    }
  }
}

extension AlignedBuffer<UInt8> {
  /// Whether no word has an exponent of all ones.
  fileprivate func isFinite<Word: FixedWidthInteger>(_ exponent: Word) -> Bool {
    UnsafeRawBufferPointer(bufferPointer).bindMemory(to: Word.self).allSatisfy { $0 & exponent != exponent }
  }
}
