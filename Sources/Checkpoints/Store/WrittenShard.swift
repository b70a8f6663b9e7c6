import Formats

/// A shard file that a rank has written, with a record of every slice in it.
public struct WrittenShard: Sendable, Equatable, Codable {
  /// One slice of a tensor, or a tensor without elements.
  public struct Record: Sendable, Equatable, Codable {
    public var key: TensorKey
    public var type: SafetensorsDataType
    public var shape: [Int]
    /// `file` is 0: `Manifest.join` knows the file's number.
    public var slice: Manifest.Slice
  }

  public var file: Manifest.File
  public var records: [Record]
}

extension Manifest {
  /// Joins the shards of all ranks, and checks that they are a complete checkpoint.
  ///
  /// - Parameter expected: the required tensors; other tensors are errors, except rollouts.
  /// - Throws: `CheckpointError` naming a missing, repeated or unexpected tensor.
  public mutating func join(
    _ shards: [WrittenShard], expected: Set<TensorKey>?, path: String
  ) throws(CheckpointError) {
    let inOrder = shards.sorted { $0.file.name < $1.file.name }
    files = inOrder.map(\.file)
    var joined: [TensorKey: Tensor] = [:]
    for (index, shard) in inOrder.enumerated() {
      for record in shard.records {
        var slice = record.slice
        slice.file = index
        var tensor = joined[record.key] ?? Tensor(key: record.key, type: record.type, shape: record.shape, slices: [])
        guard tensor.type == record.type, tensor.shape == record.shape else {
          throw CheckpointError(
            .inconsistentLayout, path: path, tensor: record.key.description,
            problem: "two ranks gave it different types or shapes",
            remedy: "start all ranks with the same configuration")
        }
        if !slice.range.isEmpty { tensor.slices.append(slice) }
        joined[record.key] = tensor
      }
    }
    tensors = joined.values.sorted { $0.key < $1.key }
    for index in tensors.indices { tensors[index].slices.sort { $0.range.lowerBound < $1.range.lowerBound } }
    if let expected {
      let found = Set(joined.keys.filter { $0.kind != .rollout || expected.contains($0) })
      if let key = expected.subtracting(found).min() ?? found.subtracting(expected).min() {
        throw CheckpointError(
          .inconsistentLayout, path: path, tensor: key.description,
          problem: expected.contains(key) ? "no rank wrote it" : "is not a tensor of this run",
          remedy: "this is a defect: please report it with config.yaml")
      }
    }
    try validate(path: path)
  }
}

extension Manifest.Slice {
  /// The slice of a tensor without elements.
  static let empty = Manifest.Slice(range: 0..<0, part: 0, file: 0, offset: 0, bytes: 0, encoding: .zeros, hash: 0)
}
