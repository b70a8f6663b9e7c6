/// How a linear layer's weights and activations are represented in its products.
///
/// The master weights are fp32 in every format; the format says which value a product uses.
/// All rounding is to nearest, ties to even.
///
/// | format | weight value used | activation value used |
/// |---|---|---|
/// | `fp32` | W | x |
/// | `fp16` | W rounded to IEEE half | x |
/// | `bf16` | W rounded to bfloat16 | x rounded to bfloat16 |
/// | `ternary` | s · clip(round(W/s), −1, 1), s = max(mean abs W, 1e-5) per output row | A8 |
/// | `int4` | s · clip(round(W/s), −7, 7), s = max(max abs W, 1e-5)/7 per row and group of inputs | A8 |
/// | `int8` | s · clip(round(W/s), −127, 127), s = max(max abs W, 1e-5)/127 per row | A8 |
///
/// A8 quantises a token's activations: s = max(max abs x, 1e-5)/127, q = clip(round(x/s), −127, 127).
public enum NumberFormat: String, Sendable, CaseIterable { case fp32, fp16, bf16, ternary, int4, int8 }
