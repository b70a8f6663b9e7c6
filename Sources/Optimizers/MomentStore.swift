import Parameters
import Tensors

/// How AdamW's moments are stored.
public enum MomentFormat: String, Sendable, CaseIterable {
  /// 4 bytes per value.
  case fp32
  /// 1 byte per value and 4 bytes per block of 256; `ck_memory.h` defines the codes and their rounding.
  case int8

  /// Bytes of one moment of `count` values.
  public func bytes(_ count: Int) -> Int {
    switch self {
    case .fp32: 4 * count
    case .int8: count + 4 * MomentStore.blocks(0..<count).count
    }
  }
}

/// One of AdamW's moments, for the parts of tensors that a rank updates; initially zero.
///
/// `fp32` stores the values. `int8` stores codes relative to a scale per block; blocks are runs of `blockLength`
/// elements counted from the start of the tensor, and parts begin and end at block boundaries. The second moment is
/// then stored as its square root.
public final class MomentStore: @unchecked Sendable {
  /// Elements that share a scale.
  public static let blockLength = MomentCodes.blockLength

  public let table: ParameterTable
  /// The parts in the store, in table order.
  public let parts: [ParameterPart]
  public let format: MomentFormat
  /// The values; nil in `int8`.
  public let values: ParameterStore?
  private let codes: AlignedBuffer<UInt8>
  private let scales: AlignedBuffer<Float>
  private let locations: [Location?]

  private struct Location {
    /// The first element in the store.
    let first: Int
    let codes: Int
    let scales: Int
  }

  /// - Precondition: in `int8`, parts begin at block boundaries.
  public init(_ table: ParameterTable, parts: [ParameterPart], format: MomentFormat) {
    self.table = table
    self.parts = parts
    self.format = format
    var locations = [Location?](repeating: nil, count: table.count)
    var (nextCode, nextScale) = (0, 0)
    if format == .int8 {
      for part in parts {
        precondition(
          part.elements.lowerBound.isMultiple(of: Self.blockLength),
          "moments of \(table[part.id].name) from element \(part.elements.lowerBound), inside a block")
        locations[part.id.index] = Location(first: part.elements.lowerBound, codes: nextCode, scales: nextScale)
        nextCode += AlignedMemory.padded(part.elements.count)
        nextScale += Self.blocks(part.elements).count
      }
    }
    self.locations = locations
    values = format == .fp32 ? ParameterStore(table, parts: parts) : nil
    codes = AlignedBuffer(count: nextCode)
    scales = AlignedBuffer(count: nextScale)
  }

  /// Sets all moments to 0.
  public func clear() {
    values?.clear()
    codes.clear()
    scales.clear()
  }

  /// The blocks that contain `elements` of a tensor.
  public static func blocks(_ elements: Range<Int>) -> Range<Int> {
    elements.lowerBound / blockLength..<(elements.upperBound + blockLength - 1) / blockLength
  }

  /// The codes of a tensor's held elements, one byte each, in `int8`.
  public func codes(_ id: ParameterID) -> UnsafeMutablePointer<UInt8> { codes.pointer + location(id).codes }

  /// The scales of the blocks of a tensor's held elements, in `int8`.
  public func scales(_ id: ParameterID) -> UnsafeMutablePointer<Float> { scales.pointer + location(id).scales }

  /// The codes and scales of `part`, for the kernels. The part begins at a block boundary.
  func moment(_ part: ParameterPart) -> MomentCodes {
    let location = location(part.id)
    let offset = part.elements.lowerBound - location.first
    let firstCode = location.codes + offset
    let firstScale = location.scales + offset / Self.blockLength
    return MomentCodes(
      codes: codes.view.part(firstCode..<firstCode + part.elements.count),
      scales: scales.view.part(firstScale..<firstScale + Self.blocks(part.elements).count))
  }

  /// Bytes in memory, padding included.
  public var byteCount: Int { 4 * (values?.buffer.count ?? 0) + codes.count + 4 * scales.count }

  private func location(_ id: ParameterID) -> Location {
    guard let location = locations[id.index] else {
      preconditionFailure("this rank holds no 8-bit moments of \(table[id].name)")
    }
    return location
  }
}
