import CKernels

/// The table of kernels in use (see `ck_kernels.h`): the best instruction set that the processor and the operating
/// system support, or the one that the environment variable `QUILLAN_ISA` names.
public enum Kernels {
  public static var table: UnsafePointer<ck_table> { ck_kernels() }

  /// The name of the instruction set in use: `portable`, `avx2`, `avx512` or `avx512bf16`.
  public static var name: String { String(cString: ck_kernels().pointee.name) }

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
    var found: [UnsafePointer<ck_table>?] = [nil, nil, nil, nil]
    let count = Int(ck_available(&found, 4))
    return found.prefix(count).compactMap { $0 }
  }
}
