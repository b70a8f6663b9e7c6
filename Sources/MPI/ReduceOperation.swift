internal import CMPI

/// The operations of reductions, independent of the element type.
enum ReduceKind: UInt8, Sendable {
  case sum, maximum, minimum, bitwiseAnd, bitwiseOr, bitwiseXor, logicalAnd, logicalOr
}

/// How a reduction combines the elements of several ranks. Only operations that are defined for `Element` exist.
public struct ReduceOperation<Element: Transferable>: Sendable {
  let kind: ReduceKind

  /// The sum; integers wrap around, floating-point sums follow a fixed order for a given number of ranks.
  public static var sum: Self { Self(kind: .sum) }
  public static var maximum: Self { Self(kind: .maximum) }
  public static var minimum: Self { Self(kind: .minimum) }

  /// MPI's handle.
  var handle: MPI_Op? {
    switch (kind, Element.transferType) {
    case (.sum, .bfloat16): BFloat16Operation.sum
    case (.maximum, .bfloat16): BFloat16Operation.maximum
    case (.minimum, .bfloat16): BFloat16Operation.minimum
    case (.sum, _): cmpi_sum()
    case (.maximum, _): cmpi_maximum()
    case (.minimum, _): cmpi_minimum()
    case (.bitwiseAnd, _): cmpi_bitwise_and()
    case (.bitwiseOr, _): cmpi_bitwise_or()
    case (.bitwiseXor, _): cmpi_bitwise_xor()
    case (.logicalAnd, _): cmpi_logical_and()
    case (.logicalOr, _): cmpi_logical_or()
    }
  }
}

extension ReduceOperation where Element: FixedWidthInteger {
  public static var bitwiseAnd: Self { Self(kind: .bitwiseAnd) }
  public static var bitwiseOr: Self { Self(kind: .bitwiseOr) }
  public static var bitwiseXor: Self { Self(kind: .bitwiseXor) }
  /// 1 if every rank has a value other than zero, else 0.
  public static var logicalAnd: Self { Self(kind: .logicalAnd) }
  /// 1 if any rank has a value other than zero, else 0.
  public static var logicalOr: Self { Self(kind: .logicalOr) }
}
