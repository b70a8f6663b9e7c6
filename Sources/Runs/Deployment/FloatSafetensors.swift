import CKernels
import Files
import Formats
import Parameters

/// Weights as a safetensors file: every parameter by name, in fp32 or bf16.
public enum FloatSafetensors {
  /// Writes masters, or the unpacked values of packed weights; atomically.
  public static func write(
    _ source: ModelSource, asBFloat16: Bool, to path: String, policy: OutputPolicy = .own
  ) throws {
    let table = source.model.table
    let tensors = table.ids.map { id in
      SafetensorsTensor(
        name: table[id].name, dataType: asBFloat16 ? .bfloat16 : .float32, shape: table[id].shape
      ) { sink in
        let values = floats(id, source)
        if asBFloat16 {
          let rounded = values.map { ck_bf16_from_f32($0).littleEndian }
          try rounded.withUnsafeBytes { try sink($0) }
        } else {
          try values.withUnsafeBytes { try sink($0) }
        }
      }
    }
    try SafetensorsWriter.write(
      path: path, tensors: tensors, metadata: ["format": "quillan-weights", "version": "1"], policy: policy)
  }

  private static func floats(_ id: ParameterID, _ source: ModelSource) -> [Float] {
    let specification = source.model.table[id]
    switch source.weights {
    case .masters(let masters): return Array(masters.values(id))
    case .packed(let packed):
      guard case .linear = specification.role else {
        return Array(UnsafeBufferPointer(start: packed.values(id), count: specification.count))
      }
      let weights = packed.weights(id)
      let size = weights.rows * weights.columns
      return [Float](unsafeUninitializedCapacity: specification.count) { target, count in
        if let base = target.baseAddress {
          for matrix in 0..<weights.count {
            weights.unpack(matrix, rows: 0..<weights.rows, into: base + matrix * size)
          }
        }
        count = specification.count
      }
    }
  }
}
