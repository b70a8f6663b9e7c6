import Files

/// A directory that a tool writes atomically at a path that the user gave.
enum CheckpointDraft {
  /// Calls `body(draft)`, which writes durable shard files into the directory `draft` and returns their manifest;
  /// validates and writes the manifest, and gives the directory its name.
  ///
  /// - Throws: `CheckpointError` and what `body` throws; there is then nothing at `target`.
  static func write(
    to target: String, files: any FileLayer, _ body: (String) throws -> Manifest
  ) throws {
    try writeDirectory(to: target, files: files) { draft in
      let manifest = try body(draft)
      try manifest.validate(path: draft)
      do throws(FileFault) { try files.writeFile("\(draft)/\(Manifest.fileName)", manifest.text()) } catch {
        throw CheckpointError(writing: error)
      }
    }
  }

  /// Calls `body(draft)`, which writes durable files into the directory `draft`, and gives the directory its name.
  ///
  /// - Throws: `CheckpointError` and what `body` throws; there is then nothing at `target`.
  static func writeDirectory(to target: String, files: any FileLayer, _ body: (String) throws -> Void) throws {
    let path = Path(target).trimmed
    let parent = path.parent.text
    let draft = Path(parent).appending(TemporaryName.make()).text
    func writing<Value>(_ body: () throws(FileFault) -> Value) throws(CheckpointError) -> Value {
      do throws(FileFault) { return try body() } catch { throw CheckpointError(writing: error) }
    }
    guard try !isTaken(path, files: files) else {
      throw CheckpointError(
        .invalidRequest, path: target, problem: "the path already exists",
        remedy: "name a directory that does not exist")
    }
    files.clearLeftovers(in: parent)
    try writing { () throws(FileFault) in try files.createDirectory(draft) }
    let claim = files.claim(draft)
    do {
      try body(draft)
      try writing { () throws(FileFault) in
        try files.synchronizeDirectory(draft)
        try files.rename(draft, to: path.text)
        try files.synchronizeDirectory(parent)
      }
    } catch {
      do { try files.removeTree(draft) } catch {}
      throw error
    }
    withExtendedLifetime(claim) {}
  }

  /// Whether a path that must be free is taken.
  static func isTaken(_ path: Path, files: any FileLayer) throws(CheckpointError) -> Bool {
    if let problem = path.problem {
      throw CheckpointError(
        .invalidRequest, path: path.text, problem: "the path of the output \(problem)", remedy: "name a directory")
    }
    guard path.text != "/", path.name != ".", path.name != ".." else { return true }
    return ((try? files.names(in: path.parent.text)) ?? []).contains(path.name)
  }
}
