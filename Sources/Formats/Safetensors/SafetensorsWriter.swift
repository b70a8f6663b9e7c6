import Files

/// Writes safetensors files in the layout of the reference implementation: tensors by element width (widest first) and
/// then by name, the header padded with spaces to a multiple of 8 bytes. Files of equal content have equal bytes.
public enum SafetensorsWriter {
  /// Writes `tensors` to `path`, atomically and durably: after an error or a kill at any instant, `path` is either
  /// what it was before or the complete new file.
  ///
  /// - Parameter policy: what the file may replace.
  /// - Throws: `SafetensorsError`, and whatever a tensor's `provide` throws.
  public static func write(
    path: String, tensors: [SafetensorsTensor], metadata: [String: String] = [:], policy: OutputPolicy = .own
  ) throws {
    let inOrder = tensors.sorted { left, right in
      left.dataType == right.dataType
        ? left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        : left.dataType.layoutRank > right.dataType.layoutRank
    }
    let header = try header(path: path, tensors: inOrder, metadata: metadata)
    let output = try SafetensorsOutput(path: path, policy: policy)
    try header.withUnsafeBytes { try output.append($0, tensor: nil) }
    for tensor in inOrder {
      let expected = try byteCount(of: tensor, path: path)
      var received = 0
      try tensor.provide { piece in
        received += piece.count
        if received <= expected { try output.append(piece, tensor: tensor.name) }
      }
      guard received == expected else {
        throw invalid(
          path, tensor.name, "\(received) bytes were given for shape \(tensor.shape), which has \(expected)")
      }
    }
    try output.commit()
  }

  /// The 8 bytes of length and the padded JSON.
  private static func header(
    path: String, tensors: [SafetensorsTensor], metadata: [String: String]
  ) throws(SafetensorsError) -> [UInt8] {
    var members: [(key: String, value: String)] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      members.append(("__metadata__", JSONText.object(pairs.map { ($0.key, JSONText.string($0.value)) })))
    }
    var names: Set<String> = ["__metadata__"]
    var offset = 0
    for tensor in tensors {
      guard names.insert(tensor.name).inserted else {
        throw invalid(path, tensor.name, "the name is reserved or used by two tensors")
      }
      let (end, overflow) = offset.addingReportingOverflow(try byteCount(of: tensor, path: path))
      guard !overflow else { throw invalid(path, tensor.name, "the file would exceed 2^63 bytes") }
      let entry = JSONText.object([
        ("dtype", JSONText.string(tensor.dataType.rawValue)), ("shape", JSONText.list(tensor.shape)),
        ("data_offsets", JSONText.list([offset, end])),
      ])
      members.append((tensor.name, entry))
      offset = end
    }
    var json = Array(JSONText.object(members).utf8)
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
    guard json.count <= SafetensorsHeader.maximumByteCount else {
      throw SafetensorsError(
        code: .invalidTensor, path: path,
        problem: "the header would have \(json.count) bytes, more than \(SafetensorsHeader.maximumByteCount)",
        remedy: "write fewer tensors or less metadata to one file")
    }
    return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
  }

  private static func byteCount(of tensor: SafetensorsTensor, path: String) throws(SafetensorsError) -> Int {
    guard tensor.shape.count <= SafetensorsHeader.maximumDimensions,
      let count = tensor.dataType.byteCount(shape: tensor.shape)
    else { throw invalid(path, tensor.name, "shape \(tensor.shape) is impossible") }
    return count
  }

  private static func invalid(_ path: String, _ tensor: String, _ problem: String) -> SafetensorsError {
    SafetensorsError(
      code: .invalidTensor, path: path, tensor: tensor, problem: problem, remedy: "correct the tensors to be written")
  }
}
