import LowBit

extension OneDNNProduct {
  /// Element types of the two operands.
  enum Types: String {
    case fp32, bf16
    /// Unsigned 8-bit activations and signed 8-bit weights with 32-bit sums.
    case u8s8 = "u8·s8"

    /// The types of the reference for `format`.
    init(for format: NumberFormat) {
      switch format {
      case .fp32, .fp16: self = .fp32
      case .bf16: self = .bf16
      case .ternary, .int4, .int8: self = .u8s8
      }
    }
  }
}
