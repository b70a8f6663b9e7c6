import CKernels
import LowBit
import Parameters
import Tensors

/// The matrices of one or more parameters, concatenated, as constants of a graph.
struct ONNXStack {
  let ids: [ParameterID]
  private let weights: PackedModel

  init(ids: [ParameterID], _ weights: PackedModel) {
    self.ids = ids
    self.weights = weights
  }

  private var elements: Int {
    ids.reduce(0) { $0 + weights.weights($1).count * weights.weights($1).rows * weights.weights($1).columns }
  }

  /// The values in use as FLOAT.
  func floats(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    try graph.constant(name, .float, shape, byteCount: 4 * elements) { sink in
      try eachMatrix { packed, matrix in
        let values = AlignedBuffer<Float>(count: packed.rows * packed.columns)
        packed.unpack(matrix, rows: 0..<packed.rows, into: values.pointer)
        try sink(UnsafeRawBufferPointer(values.bufferPointer))
      }
    }
  }

  /// The values in use as FLOAT16 or BFLOAT16.
  func halves(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    let isHalf = weights.weights(ids[0]).format == .fp16
    return try graph.constant(name, isHalf ? .float16 : .bfloat16, shape, byteCount: 2 * elements) { sink in
      try eachMatrix { packed, matrix in
        let values = AlignedBuffer<Float>(count: packed.rows * packed.columns)
        packed.unpack(matrix, rows: 0..<packed.rows, into: values.pointer)
        let halves = values.bufferPointer.map { (isHalf ? ck_f16_from_f32($0) : ck_bf16_from_f32($0)).littleEndian }
        try halves.withUnsafeBytes { try sink($0) }
      }
    }
  }

  /// Codes as INT8, or as INT4 two to a byte if they fit.
  func codes(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    if weights.weights(ids[0]).format == .int8 { return try bytes(name, shape, graph) }
    return try graph.constant(name, .int4, shape, byteCount: (elements + 1) / 2) { sink in
      var joined: [UInt8] = []
      var pending: UInt8?
      try eachCodes { codes in
        joined.removeAll(keepingCapacity: true)
        for code in codes {
          let half = UInt8(bitPattern: code) & 15
          if let low = pending {
            joined.append(low | half << 4)
            pending = nil
          } else {
            pending = half
          }
        }
        try joined.withUnsafeBytes { try sink($0) }
      }
      if let pending { try withUnsafeBytes(of: pending) { try sink($0) } }
    }
  }

  /// Codes as INT8.
  func bytes(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    try graph.constant(name, .int8, shape, byteCount: elements) { sink in
      try eachCodes { try sink(UnsafeRawBufferPointer($0)) }
    }
  }

  /// Code + 8 as UINT8, two to a byte, the first in the low half; rows have an even length.
  func nibbles(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    try graph.constant(name, .uint8, shape, byteCount: elements / 2) { sink in
      try eachCodes { codes in
        let joined = stride(from: 0, to: codes.count, by: 2).map { index in
          UInt8(codes[index] + 8) | UInt8(codes[index + 1] + 8) << 4
        }
        try joined.withUnsafeBytes { try sink($0) }
      }
    }
  }

  /// Scales as FLOAT.
  func scales(_ name: String, _ shape: [Int], _ graph: ONNXGraph) throws -> String {
    let count = ids.reduce(0) { $0 + weights.weights($1).portableScaleCount }
    return try graph.constant(name, .float, shape, byteCount: 4 * count) { sink in
      try eachMatrix { packed, matrix in
        let codes = AlignedBuffer<Int8>(count: packed.rows * packed.columns)
        let scales = AlignedBuffer<Float>(count: packed.rows * packed.groups)
        packed.readCodes(matrix, rows: 0..<packed.rows, codes: codes.pointer, scales: scales.pointer)
        try sink(UnsafeRawBufferPointer(scales.bufferPointer))
      }
    }
  }

  private func eachMatrix(_ body: (PackedWeights, Int) throws -> Void) throws {
    for id in ids {
      let packed = weights.weights(id)
      for matrix in 0..<packed.count { try body(packed, matrix) }
    }
  }

  private func eachCodes(_ body: (UnsafeMutableBufferPointer<Int8>) throws -> Void) throws {
    try eachMatrix { packed, matrix in
      let codes = AlignedBuffer<Int8>(count: packed.rows * packed.columns)
      let scales = AlignedBuffer<Float>(count: packed.rows * packed.groups)
      packed.readCodes(matrix, rows: 0..<packed.rows, codes: codes.pointer, scales: scales.pointer)
      try body(codes.bufferPointer)
    }
  }
}
