import Files
import Formats
import LowBit
import Parameters
import Tensors

/// Packed weights as a safetensors file, for programs that know the format of the Python library.
///
/// A linear weight in an integer format is two tensors: `<name>.codes` [.., rows, bytes of a row] (U8, int8 codes I8) and
/// `<name>.scales` F32 [.., rows, groups], as `PackedWeights` exports rows; in a floating format it is `<name>` in that
/// type. Other parameters are `<name>` in F32. Metadata: `format` quillan-packed, `version` 1.
public enum PackedSafetensors {
  public static let format = "quillan-packed"

  /// Writes all tensors, atomically.
  public static func write(
    _ model: PackedModel, metadata: [String: String] = [:], to path: String, policy: OutputPolicy = .own,
    pool: WorkerPool
  ) throws {
    var tensors: [SafetensorsTensor] = []
    for id in model.table.ids {
      let specification = model.table[id]
      guard case .linear(let format) = specification.role else {
        tensors.append(
          SafetensorsTensor(name: specification.name, dataType: .float32, shape: specification.shape) { sink in
            try sink(UnsafeRawBufferPointer(start: model.values(id), count: 4 * specification.count))
          })
        continue
      }
      let weights = model.weights(id)
      func rows(_ use: (AlignedBuffer<UInt8>, AlignedBuffer<Float>) throws -> Void) rethrows {
        let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
        let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
        weights.exportRows(bytes: bytes.pointer, scales: scales.pointer, pool: pool)
        try use(bytes, scales)
      }
      let names = Self.tensors(specification, format, groups: weights.groups)
      tensors.append(
        SafetensorsTensor(name: names.rows.name, dataType: names.rows.type, shape: names.rows.shape) { sink in
          try rows { bytes, _ in try sink(UnsafeRawBufferPointer(bytes.bufferPointer)) }
        })
      if let scales = names.scales {
        tensors.append(
          SafetensorsTensor(name: scales.name, dataType: .float32, shape: scales.shape) { sink in
            try rows { _, scales in try sink(UnsafeRawBufferPointer(scales.bufferPointer)) }
          })
      }
    }
    try SafetensorsWriter.write(
      path: path, tensors: tensors, metadata: metadata.merging(["format": format, "version": "1"]) { $1 },
      policy: policy)
  }

  /// Reads what `write` wrote into an empty packed model.
  ///
  /// - Throws: `SafetensorsError` naming the tensor that is missing, extra, of another shape, or has impossible values.
  public static func load(_ file: SafetensorsFile, into model: PackedModel, pool: WorkerPool) throws {
    var expected: Set<String> = []
    func check(_ name: String, _ type: SafetensorsDataType, _ shape: [Int]) throws {
      expected.insert(name)
      let entry = try file.entry(name)
      guard entry.dataType == type, entry.shape == shape else {
        throw SafetensorsError(
          code: .mismatch, path: file.path, tensor: name,
          problem: "is \(entry.dataType.rawValue) \(entry.shape), the model needs \(type.rawValue) \(shape)",
          remedy: "use the config.json that was written with it")
      }
    }
    for id in model.table.ids {
      let specification = model.table[id]
      guard case .linear(let format) = specification.role else {
        try check(specification.name, .float32, specification.shape)
        let target = UnsafeMutableBufferPointer(start: model.values(id), count: specification.count)
        try file.read(specification.name, into: UnsafeMutableRawBufferPointer(target))
        if let bad = target.firstIndex(where: { !$0.isFinite }) {
          throw fault(file, specification.name, "element \(bad)")
        }
        continue
      }
      let weights = model.weights(id)
      let names = Self.tensors(specification, format, groups: weights.groups)
      try check(names.rows.name, names.rows.type, names.rows.shape)
      let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
      let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
      try file.read(names.rows.name, into: UnsafeMutableRawBufferPointer(bytes.bufferPointer))
      if let own = names.scales {
        try check(own.name, .float32, own.shape)
        try file.read(own.name, into: UnsafeMutableRawBufferPointer(scales.bufferPointer))
      }
      if let row = weights.importRows(bytes: bytes.pointer, scales: scales.pointer, pool: pool) {
        throw fault(file, names.rows.name, "row \(row)")
      }
    }
    for name in file.tensors.keys.sorted() where !expected.contains(name) {
      throw SafetensorsError(
        code: .mismatch, path: file.path, tensor: name, problem: "is not a parameter of this model",
        remedy: "use the config.json that was written with it")
    }
  }

  private static func fault(_ file: SafetensorsFile, _ name: String, _ element: String) -> SafetensorsError {
    SafetensorsError(
      code: .inconsistentLayout, path: file.path, tensor: name,
      problem: "\(element) has a value that weights cannot have", remedy: "write the file again")
  }

  private typealias Entry = (name: String, type: SafetensorsDataType, shape: [Int])

  /// The tensors of a linear weight.
  private static func tensors(_ specification: ParameterSpecification, _ format: NumberFormat, groups: Int) -> (
    rows: Entry, scales: Entry?
  ) {
    let name = specification.name
    switch format {
    case .fp32: return ((name, .float32, specification.shape), nil)
    case .fp16: return ((name, .float16, specification.shape), nil)
    case .bf16: return ((name, .bfloat16, specification.shape), nil)
    case .ternary, .int4, .int8:
      let outer = Array(specification.shape.dropLast())
      let bytes = PackedWeights.portableRowBytes(format, columns: specification.inputs)
      return (
        ("\(name).codes", format == .int8 ? .int8 : .uint8, outer + [bytes]),
        ("\(name).scales", .float32, outer + [groups])
      )
    }
  }
}
