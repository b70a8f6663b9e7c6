internal import CMPI

/// A type whose values MPI can move between ranks: the fixed-width integers, `Float`, `Double` and `BFloat16`.
public protocol Transferable: BitwiseCopyable, Sendable {
  static var transferType: TransferType { get }
  /// The value of all-zero bits, with which new buffers are filled.
  static var zero: Self { get }
}

/// The element types that the wrapper supports.
public enum TransferType: Sendable, CaseIterable {
  case float32, float64, bfloat16
  case int8, int16, int32, int64
  case uint8, uint16, uint32, uint64

  /// MPI's handle. A bfloat16 travels as 16 bits; only reductions interpret it.
  var handle: MPI_Datatype? {
    switch self {
    case .float32: cmpi_float32()
    case .float64: cmpi_float64()
    case .bfloat16: cmpi_uint16()
    case .int8: cmpi_int8()
    case .int16: cmpi_int16()
    case .int32: cmpi_int32()
    case .int64: cmpi_int64()
    case .uint8: cmpi_uint8()
    case .uint16: cmpi_uint16()
    case .uint32: cmpi_uint32()
    case .uint64: cmpi_uint64()
    }
  }
}

extension TransferType {
  /// The name in flight records and traces.
  var name: StaticString {
    switch self {
    case .float32: "float32"
    case .float64: "float64"
    case .bfloat16: "bfloat16"
    case .int8: "int8"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .uint8: "uint8"
    case .uint16: "uint16"
    case .uint32: "uint32"
    case .uint64: "uint64"
    }
  }
}

extension Transferable {
  static var datatype: MPI_Datatype? { transferType.handle }
}

extension Float: Transferable { public static var transferType: TransferType { .float32 } }
extension Double: Transferable { public static var transferType: TransferType { .float64 } }
extension Int8: Transferable { public static var transferType: TransferType { .int8 } }
extension Int16: Transferable { public static var transferType: TransferType { .int16 } }
extension Int32: Transferable { public static var transferType: TransferType { .int32 } }
extension Int64: Transferable { public static var transferType: TransferType { .int64 } }
extension Int: Transferable { public static var transferType: TransferType { .int64 } }
extension UInt8: Transferable { public static var transferType: TransferType { .uint8 } }
extension UInt16: Transferable { public static var transferType: TransferType { .uint16 } }
extension UInt32: Transferable { public static var transferType: TransferType { .uint32 } }
extension UInt64: Transferable { public static var transferType: TransferType { .uint64 } }
extension BFloat16: Transferable {
  public static var transferType: TransferType { .bfloat16 }
  public static var zero: BFloat16 { BFloat16(bitPattern: 0) }
}
