import Files
import Foundation
import LowBit

/// A tensor that `BitEncoder` packed, as a safetensors file: `codes` U8 [rows, bytes of a row] and `scales` F32 [rows] or
/// [1]; metadata `format` quillan-bits, `bits`, `scaling` and `shape` (extents separated by spaces).
public enum BitEncodingFile {
  /// Encodes a .npy file, a piece at a time.
  ///
  /// - Throws: `NumpyError`, `BitEncoderError` or `SafetensorsError`.
  public static func encode(
    _ input: NumpyFile, _ encoder: BitEncoder, to path: String, policy: OutputPolicy = .own
  ) throws {
    let columns = input.shape.last ?? 1
    let rows = input.shape.dropLast().reduce(1, *)
    var collected = BitEncoder.Scales(encoder, columns: columns)
    try input.eachPiece(rows: rows, columns: columns) { try collected.append($1) }
    // A row without numbers has a scale, too.
    let scales = columns > 0 ? collected.values : Array(repeating: 0, count: encoder.scaling == .perRow ? rows : 1)
    let codes = SafetensorsTensor(
      name: "codes", dataType: .uint8, shape: [rows, encoder.packedByteCount(columns: columns)]
    ) { sink in
      try input.eachPiece(rows: rows, columns: columns) { first, values in
        let packed = encoder.packRows(values, columns: columns, first: first, scales: scales)
        try packed.withUnsafeBytes { try sink($0) }
      }
    }
    try SafetensorsWriter.write(
      path: path, tensors: [codes, SafetensorsTensor(name: "scales", shape: [scales.count], floats: scales)],
      metadata: [
        "format": "quillan-bits", "version": "1", "bits": "\(encoder.bits)", "scaling": encoder.scaling.rawValue,
        "shape": input.shape.map(String.init).joined(separator: " "),
      ], policy: policy)
  }

  /// Decodes such a file to a .npy file of fp32.
  public static func decode(_ file: SafetensorsFile, to path: String, policy: OutputPolicy = .own) throws {
    func fault(_ problem: String) -> SafetensorsError {
      SafetensorsError(
        code: .mismatch, path: file.path, problem: problem, remedy: "give a file that quillan bits encode wrote")
    }
    let codes = try file.entry("codes")
    guard let bits = file.metadata["bits"].flatMap({ Int($0) }), [1, 2, 4, 8].contains(bits),
      let scaling = file.metadata["scaling"].flatMap({ BitEncoder.Scaling(rawValue: $0) }),
      let extents = file.metadata["shape"]?.split(separator: " ").map({ Int($0) }), !extents.contains(nil),
      extents.allSatisfy({ ($0 ?? -1) >= 0 })
    else { throw fault("has no bits, scaling and shape in its metadata") }
    let shape = extents.compactMap { $0 }
    let encoder = BitEncoder(bits: bits, scaling: scaling)
    let columns = shape.last ?? 1
    guard let count = Extents.product(shape), let rows = Extents.product(shape.dropLast()),
      count > 0 || shape.allSatisfy({ $0 <= NumpyFile.largestEmptyExtent })
    else { throw fault("has an impossible shape") }
    guard codes.dataType == .uint8, codes.shape == [rows, encoder.packedByteCount(columns: columns)]
    else { throw fault("has codes of another shape than its metadata says") }
    let scales = try file.floats("scales")
    guard scales.count == (scaling == .perRow ? rows : 1), scales.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw fault("has \(scales.count) scales, or scales that are negative or not finite")
    }
    try file.withBytes(of: "codes") { bytes in
      try NumpyFile.write(path: path, shape: shape, policy: policy) { sink in
        let stride = encoder.packedByteCount(columns: columns)
        let most = max(1, (4 << 20) / max(1, columns))
        for first in Swift.stride(from: 0, to: stride == 0 ? 0 : rows, by: most) {
          let count = min(most, rows - first)
          let packed = Array(bytes[first * stride..<(first + count) * stride])
          let values = encoder.unpackRows(packed, columns: columns, first: first, scales: scales)
          try values.withUnsafeBytes { try sink($0) }
        }
      }
    }
  }
}
