/// A checkpoint that a tool writes at a path of the user's choice: there when it is whole, or not at all.
enum CheckpointDraft {
  /// Calls `body(draft)`, which writes durable shard files into the directory `draft` and returns their manifest; proves
  /// the manifest, writes it, and gives the directory its name.
  ///
  /// - Throws: `CheckpointError` and what `body` throws; there is then nothing at `target`.
  static func write(
    to target: String, files: any FileLayer, _ body: (String) throws -> Manifest
  ) throws {
    let cut = target.lastIndex(of: "/")
    let parent = cut.map { String(target[..<$0]) } ?? "."
    let name = cut.map { String(target[target.index(after: $0)...]) } ?? target
    let draft = "\(parent)/.\(name).partial"
    func writing(_ body: () throws(FileFault) -> Void) throws(CheckpointError) {
      do throws(FileFault) { try body() } catch { throw CheckpointError(writing: error) }
    }
    let isTaken = ((try? files.names(in: parent)) ?? []).contains(name)
    guard !isTaken, !name.isEmpty else {
      throw CheckpointError(
        .invalidRequest, path: target, problem: "there is something at this path already",
        remedy: "name a directory that does not exist")
    }
    do { try files.removeTree(draft) } catch {}
    try writing { () throws(FileFault) in try files.createDirectory(draft) }
    do {
      let manifest = try body(draft)
      try manifest.validate(path: draft)
      try writing { () throws(FileFault) in
        try files.writeFile("\(draft)/\(Manifest.fileName)", manifest.text())
        try files.synchronizeDirectory(draft)
        try files.rename(draft, to: target)
        try files.synchronizeDirectory(parent)
      }
    } catch {
      do { try files.removeTree(draft) } catch {}
      throw error
    }
  }
}
