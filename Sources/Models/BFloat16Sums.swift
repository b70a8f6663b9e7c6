import Tensors

/// The order of the sums of bfloat16 products (`precision.bf16_sums`): two orders with different roundings, each the same
/// bits on every machine.
public enum BFloat16Sums: String, CaseIterable, Sendable {
  /// `tiles` if all ranks have tiles, else `pairs`; resolved when a run starts. In recorded files without an order:
  /// `pairs`.
  case auto
  /// Pair after pair, as the dot products of AVX-512 do (VDPBF16PS).
  case pairs
  /// Steps of sixteen pairs, as the tile products of AMX do (TDPBF16PS).
  case tiles

  /// Computes in this order from now on, in the whole process; `auto` counts as `pairs`. Call before other threads compute.
  public func select() { Kernels.select(sumsInTiles: self == .tiles) }

  /// The order on machines of which all or not all have tiles.
  public func resolved(hasTiles: Bool) -> BFloat16Sums { self == .auto ? (hasTiles ? .tiles : .pairs) : self }
}
