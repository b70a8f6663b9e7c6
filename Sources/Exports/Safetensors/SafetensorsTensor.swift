/// A tensor to be written: name, element type, shape and a source of its bytes.
///
/// `provide` is called once, when the tensor's turn comes, and hands its bytes on in as many pieces as it likes, so a
/// set of tensors is written without a copy of it (a 2 GB model streams from its own buffers). Pieces are
/// little-endian, row-major, and valid during the call of `sink` only.
public struct SafetensorsTensor {
  public typealias Sink = (UnsafeRawBufferPointer) throws -> Void

  public let name: String
  public let dataType: SafetensorsDataType
  public let shape: [Int]
  public let provide: (_ sink: Sink) throws -> Void

  public init(
    name: String, dataType: SafetensorsDataType, shape: [Int], provide: @escaping (_ sink: Sink) throws -> Void
  ) {
    self.name = name
    self.dataType = dataType
    self.shape = shape
    self.provide = provide
  }

  /// A tensor whose elements lie in an array: Float for F32, Int32 for I32, UInt8 for U8 and so on.
  ///
  /// - Precondition: one element of the array is one element of `dataType`.
  public init<Element: BitwiseCopyable & Sendable>(
    name: String, dataType: SafetensorsDataType, shape: [Int], elements: [Element]
  ) {
    precondition(
      MemoryLayout<Element>.stride == dataType.byteCount,
      "\(Element.self) has \(MemoryLayout<Element>.stride) bytes, \(dataType.rawValue) \(dataType.byteCount)")
    self.init(name: name, dataType: dataType, shape: shape) { sink in
      try elements.withUnsafeBytes { try sink($0) }
    }
  }

  /// An F32 tensor from an array.
  public init(name: String, shape: [Int], floats: [Float]) {
    self.init(name: name, dataType: .float32, shape: shape, elements: floats)
  }
}
