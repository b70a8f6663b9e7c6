internal import CMPI

/// A bfloat16 number: the upper 16 bits of an IEEE binary32 (1 sign, 8 exponent and 7 fraction bits).
///
/// Sums over ranks add in binary32 and round each partial sum to the nearest bfloat16, ties to even.
public struct BFloat16: Equatable, Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
  public var bitPattern: UInt16

  public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

  /// The bfloat16 nearest to `value`, ties to even; a NaN stays a NaN.
  public init(_ value: Float) { bitPattern = cmpi_bfloat16_from_float(value) }

  /// The same number as a binary32, exactly.
  public var float: Float { cmpi_bfloat16_to_float(bitPattern) }

  public var description: String { "\(float)" }
}

/// The reduction operators of bfloat16, created once and kept until the process ends.
enum BFloat16Operation {
  nonisolated(unsafe) static let sum = make(cmpi_create_bfloat16_sum)
  nonisolated(unsafe) static let maximum = make(cmpi_create_bfloat16_maximum)
  nonisolated(unsafe) static let minimum = make(cmpi_create_bfloat16_minimum)

  private static func make(_ create: (UnsafeMutablePointer<MPI_Op?>?) -> Int32) -> MPI_Op? {
    var operation: MPI_Op?
    let code = create(&operation)
    precondition(code == MPI_SUCCESS, "MPI_Op_create returned \(code) for a bfloat16 operation")
    return operation
  }
}
