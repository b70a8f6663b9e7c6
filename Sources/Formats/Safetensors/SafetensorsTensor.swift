/// A tensor to be written: name, element type, shape and a source of its bytes.
///
/// `provide` is called once, when the tensor is written, and passes its bytes to `sink` in any number of calls, so a
/// model is written from its own buffers without a copy. Bytes are little-endian, row-major, and need to be valid only
/// during the call of `sink`.
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

  /// A tensor with the elements of an array: Float for F32, Int32 for I32, UInt8 for U8 and so on.
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
