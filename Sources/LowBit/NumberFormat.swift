/// The number format of a linear layer's weights and activations.
///
/// | format | weight value used | activation value used | bits a weight |
/// |---|---|---|---|
/// | fp32 | W | x | 32 |
/// | fp16 | W rounded to IEEE half | x | 16 |
/// | bf16 | W rounded to bfloat16 | x rounded to bfloat16 | 16 |
/// | ternary | s·clip(round(W/s), −1, 1), s = max(mean abs W, 1e-5) per row | A8 | 2 |
/// | int4 | s·clip(round(W/s), −7, 7), s = max(max abs W, 1e-5)/7 per row and group | A8 | 4 |
/// | int8 | s·clip(round(W/s), −127, 127), s = max(max abs W, 1e-5)/127 per row | A8 | 8 |
///
/// A8: per token, s = max(max abs x, 1e-5)/127, q = clip(round(x/s), −127, 127). Rounding is to nearest, ties to even.
/// Ternary weights follow BitNet b1.58 (Ma et al., 2024, arXiv:2402.17764).
public enum NumberFormat: String, Sendable, CaseIterable {
  case fp32, fp16, bf16, ternary, int4, int8
}
