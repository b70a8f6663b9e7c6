import CKernels

/// The table of kernels in use (see `ck_kernels.h`): the best instruction set that the processor and the operating
/// system support, or the one that the environment variable `QUILLAN_ISA` names.
public enum Kernels {
  public static var table: UnsafePointer<ck_table> { ck_kernels() }

  /// The name of the instruction set in use: `portable`, `amx-emulated`, `avx2`, `avx512`, `avx512bf16`, `amx` or
  /// `dotprod`.
  public static var name: String { String(cString: ck_kernels().pointee.name) }

  /// Whether the instruction set in use has tiles, so that bfloat16 products are fastest in the order `tiles`.
  public static var hasTiles: Bool { ck_kernels().pointee.has_tiles }

  /// Whether bfloat16 products are summed in the order `tiles`; else in the order `pairs`.
  public static var sumsInTiles: Bool { ck_bf16_sums() == CK_SUMS_TILES }

  /// Selects the order of the sums of bfloat16 products. Call before other threads compute.
  public static func select(sumsInTiles: Bool) {
    ck_select_bf16_sums(Int32(sumsInTiles ? CK_SUMS_TILES : CK_SUMS_PAIRS))
  }

  /// How the order `pairs` is computed: by the processor's dot products (`native`) or by two fused multiply-adds
  /// (`fma`), which give the same bits.
  public static var bfloat16Dot: String { ck_bf16_variants().is_native ? "native" : "fma" }

  /// The values of `bfloat16Dot` that this machine supports.
  public static var bfloat16Dots: [String] { ck_bf16_variants().native == nil ? ["fma"] : ["native", "fma"] }

  /// exp(x) as the kernels compute it: the same bits on every machine.
  public static func exp(_ x: Float) -> Float {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 1) { value in
      value.initialize(repeating: x)
      table.pointee.exponential(1, value.baseAddress, value.baseAddress)
      return value[0]
    }
  }

  /// The natural logarithm of a normal positive number: the same bits on every machine.
  public static func log(_ x: Double) -> Double { ck_log(x) }

  /// Every instruction set that this machine supports, starting with the portable one.
  public static var available: [String] {
    tables.map { String(cString: $0.pointee.name) }
  }

  /// Selects the named instruction set. Call before other threads compute. Returns false if the machine does not
  /// support it.
  @discardableResult
  public static func select(_ name: String) -> Bool {
    guard let table = tables.first(where: { String(cString: $0.pointee.name) == name }) else { return false }
    ck_select(table)
    return true
  }

  private static var tables: [UnsafePointer<ck_table>] {
    var found = [UnsafePointer<ck_table>?](repeating: nil, count: Int(CK_TABLES))
    let count = Int(ck_available(&found, Int32(CK_TABLES)))
    return found.prefix(count).compactMap { $0 }
  }
}
