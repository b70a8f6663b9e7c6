extension ShardWriter {
  /// Writes the pieces of one rank, each to the file that `Placement` names, in a draft's directory.
  ///
  /// - Returns: the files written, by name.
  /// - Throws: `CheckpointError`.
  public static func write(
    _ pieces: [TensorPiece], expertFiles: Int, miniMoEs: Int, in directory: String, threads: Int,
    files: any FileLayer, spareTime: SpareTime? = nil, taken: @escaping @Sendable (TensorPiece) -> Void = { _ in }
  ) throws -> [Written] {
    let byFile = Dictionary(grouping: pieces) {
      Placement.file($0.key, part: $0.part.map { $0 + 1 } ?? 0, expertFiles: expertFiles, miniMoEs: miniMoEs)
    }
    return try byFile.keys.sorted().map { name in
      try write(
        byFile[name] ?? [], to: name, in: directory, threads: threads, files: files, spareTime: spareTime, taken: taken)
    }
  }
}
