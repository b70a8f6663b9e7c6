/// The element types that safetensors files of this project may hold, under the format's own names.
///
/// Elements are little-endian and dense, in row-major order.
public enum SafetensorsDataType: String, Sendable, Codable, CaseIterable {
  case bool = "BOOL"
  case uint8 = "U8"
  case int8 = "I8"
  case int16 = "I16"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int32 = "I32"
  case float32 = "F32"
  case float64 = "F64"
  case int64 = "I64"

  /// Bytes per element.
  public var byteCount: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .int16, .float16, .bfloat16: 2
    case .int32, .float32: 4
    case .float64, .int64: 8
    }
  }

  /// The reference writer sorts tensors by descending rank, so wide elements stay aligned. The order of the cases above
  /// is that order.
  var layoutRank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  /// Bytes of a dense tensor of `shape`; nil if an extent is negative or the product too large (`Extents`).
  public func byteCount(shape: [Int]) -> Int? { Extents.product(shape).map { $0 * byteCount } }
}
