import Files
import Formats
import Foundation
import LowBit

/// A tensor that `BitEncoder` packed, as a safetensors file: `codes` U8 [rows, bytes of a row] and `scales` F32 [rows] or
/// [1]; metadata `format` quillan-bits, `version` 1, `bits`, `scaling` and `shape` (extents separated by spaces).
public enum BitEncodingFile {
  private static let format = "quillan-bits"
  /// The version of the format that this program reads and writes.
  private static let version = 1

  /// Encodes a .npy file, some rows at a time.
  ///
  /// - Throws: `NumpyError`, `BitEncoderError` or `SafetensorsError`.
  public static func encode(
    _ input: NumpyFile, _ encoder: BitEncoder, to path: String, policy: OutputPolicy = .own
  ) throws {
    let columns = input.shape.last ?? 1
    let rows = input.shape.dropLast().reduce(1, *)
    var collected = BitEncoder.Scales(encoder, columns: columns)
    try input.eachBlock(rows: rows, columns: columns) { try collected.append($1) }
    // A row without numbers also has a scale.
    let scales = columns > 0 ? collected.values : Array(repeating: 0, count: encoder.scaling == .perRow ? rows : 1)
    let codes = SafetensorsTensor(
      name: "codes", dataType: .uint8, shape: [rows, encoder.packedByteCount(columns: columns)]
    ) { sink in
      try input.eachBlock(rows: rows, columns: columns) { first, values in
        let packed = encoder.packRows(values, columns: columns, first: first, scales: scales)
        try packed.withUnsafeBytes { try sink($0) }
      }
    }
    try SafetensorsWriter.write(
      path: path, tensors: [codes, SafetensorsTensor(name: "scales", shape: [scales.count], floats: scales)],
      metadata: [
        "format": format, "version": "\(version)", "bits": "\(encoder.bits)", "scaling": encoder.scaling.rawValue,
        "shape": input.shape.map(String.init).joined(separator: " "),
      ], policy: policy)
  }

  /// Decodes such a file to a .npy file of fp32.
  public static func decode(_ file: SafetensorsFile, to path: String, policy: OutputPolicy = .own) throws {
    func fault(_ problem: String, remedy: String = "give a file that quillan bits encode wrote") -> SafetensorsError {
      SafetensorsError(code: .mismatch, path: file.path, problem: problem, remedy: remedy)
    }
    guard file.metadata["format"] == format else {
      let found = file.metadata["format"].map { "'\(SafetensorsError.printable($0))'" } ?? "missing"
      throw fault("the metadata's format is \(found), not '\(format)'")
    }
    guard let number = file.metadata["version"].flatMap({ Int($0) }), number > 0 else {
      throw fault("the metadata has no version of the format")
    }
    guard number <= version else {
      throw fault(
        "version \(number) of the format is newer than this program, which reads version \(version)",
        remedy: "decode it with the program that encoded it")
    }
    let codes = try file.entry("codes")
    guard let bits = file.metadata["bits"].flatMap({ Int($0) }), [1, 2, 4, 8].contains(bits),
      let scaling = file.metadata["scaling"].flatMap({ BitEncoder.Scaling(rawValue: $0) }),
      let extents = file.metadata["shape"]?.split(separator: " ").map({ Int($0) }), !extents.contains(nil),
      extents.allSatisfy({ ($0 ?? -1) >= 0 })
    else { throw fault("the metadata lacks valid bits, scaling or shape") }
    let shape = extents.compactMap { $0 }
    let encoder = BitEncoder(bits: bits, scaling: scaling)
    let columns = shape.last ?? 1
    guard let count = Extents.product(shape), let rows = Extents.product(shape.dropLast()),
      count > 0 || shape.allSatisfy({ $0 <= NumpyFile.largestEmptyExtent })
    else { throw fault("the shape in the metadata is impossible") }
    guard codes.dataType == .uint8, codes.shape == [rows, encoder.packedByteCount(columns: columns)]
    else { throw fault("the codes do not have the shape in the metadata") }
    let scales = try file.floats("scales")
    guard scales.count == (scaling == .perRow ? rows : 1), scales.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw fault("the number of scales (\(scales.count)) is wrong, or a scale is negative or not finite")
    }
    try file.withBytes(of: "codes") { bytes in
      try NumpyFile.write(path: path, shape: shape, policy: policy) { sink in
        let stride = encoder.packedByteCount(columns: columns)
        let blockRows = max(1, (4 << 20) / max(1, columns))
        for first in Swift.stride(from: 0, to: stride == 0 ? 0 : rows, by: blockRows) {
          let count = min(blockRows, rows - first)
          let packed = Array(bytes[first * stride..<(first + count) * stride])
          let values = encoder.unpackRows(packed, columns: columns, first: first, scales: scales)
          try values.withUnsafeBytes { try sink($0) }
        }
      }
    }
  }
}
