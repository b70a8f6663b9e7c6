import Files
import Formats
import Foundation
import SwiftProtobuf

/// The constant tensors of a network's graphs: inside the files, or outside in one file that the graphs share.
///
/// A protobuf message is limited to 2 GB and read as a whole; runtimes map numbers in a separate file, which are stored
/// once.
final class ONNXTensors {
  typealias Sink = (UnsafeRawBufferPointer) throws -> Void

  private let output: SafetensorsOutput?
  private let location: String
  private var offset = 0
  private var tensors: [String: Onnx_TensorProto] = [:]
  /// Tensors smaller than this stay inside the graph.
  private static let smallest = 1024
  /// Runtimes map whole pages.
  private static let alignment = 4096

  /// - Parameter path: the file for the numbers; nil keeps them inside.
  init(externalPath path: String?, policy: OutputPolicy) throws(SafetensorsError) {
    output = try path.map { path throws(SafetensorsError) in try SafetensorsOutput(path: path, policy: policy) }
    location = path.map { Path($0).name } ?? ""
  }

  /// The tensor of this name; the first call has `provide` pass its bytes (little-endian, row-major) to the sink.
  func tensor(
    _ name: String, _ type: Onnx_TensorProto.DataType, _ shape: [Int], byteCount: Int,
    _ provide: (_ sink: Sink) throws -> Void
  ) throws -> Onnx_TensorProto {
    if let known = tensors[name] { return known }
    var tensor = Onnx_TensorProto()
    tensor.name = name
    tensor.dataType = Int32(type.rawValue)
    tensor.dims = shape.map(Int64.init)
    var received = 0
    if let output, byteCount >= Self.smallest {
      let start = (offset + Self.alignment - 1) / Self.alignment * Self.alignment
      try append([UInt8](repeating: 0, count: start - offset), name, to: output)
      try provide { piece in
        try output.append(piece, tensor: name)
        received += piece.count
      }
      offset = start + received
      tensor.dataLocation = .external
      tensor.externalData = [("location", location), ("offset", "\(start)"), ("length", "\(received)")].map { entry in
        var pair = Onnx_StringStringEntryProto()
        (pair.key, pair.value) = entry
        return pair
      }
    } else {
      var data = Data(capacity: byteCount)
      try provide { piece in
        data.append(contentsOf: piece)
        received += piece.count
      }
      tensor.rawData = data
    }
    precondition(received == byteCount, "\(received) bytes for \(name) \(shape), which has \(byteCount)")
    tensors[name] = tensor
    return tensor
  }

  private func append(_ bytes: [UInt8], _ name: String, to output: SafetensorsOutput) throws {
    try bytes.withUnsafeBytes { try output.append($0, tensor: name) }
    offset += bytes.count
  }

  /// Makes the outside file durable.
  func commit() throws(SafetensorsError) { try output?.commit() }
}
