import Files
import Foundation

/// The directory `checkpoints/` of a run: `step-000100/`, … , and `latest`, a file with the name of the newest.
///
/// A checkpoint is written under a hidden name and renamed once it is durable, so a directory with a checkpoint's name
/// is complete. Only rank 0 calls the methods that change anything, while its process holds the run's lock. They remove
/// only what this program made; other files stay and do not disturb them.
public struct CheckpointStore: Sendable {
  public let path: String
  private let files: any FileLayer
  /// The unpredictable part of hidden names.
  private let token: String

  /// - Parameter token: the same on all ranks that write one checkpoint; nil: a random one.
  public init(path: String, files: any FileLayer = SystemFiles(), token: String? = nil) {
    self.path = path
    self.files = files
    self.token = token ?? RandomName.make()
  }

  /// A checkpoint's name: the step, and a number from 2 on if a damaged checkpoint already has the plain name.
  struct Name: Comparable {
    let step: Int
    let number: Int

    init(step: Int, number: Int = 1) {
      self.step = step
      self.number = number
    }

    init?(_ text: String) {
      let parts = text.split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count == 2 || parts.count == 3, parts[0] == "step", let step = Int(parts[1]) else { return nil }
      self.init(step: step, number: parts.count == 3 ? Int(parts[2]) ?? 0 : 1)
      guard self.text == text else { return nil }
    }

    var text: String {
      let digits = String(step)
      let padded = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
      return number == 1 ? "step-\(padded)" : "step-\(padded)-\(number)"
    }

    static func < (left: Self, right: Self) -> Bool { (left.step, left.number) < (right.step, right.number) }
  }

  private func writing<Result>(_ body: () throws(FileFault) -> Result) throws(CheckpointError) -> Result {
    do throws(FileFault) { return try body() } catch { throw CheckpointError(writing: error) }
  }

  private func found() throws(CheckpointError) -> [Name] {
    do throws(FileFault) { return try files.names(in: path).compactMap(Name.init).sorted() } catch {
      if error.number == ENOENT { return [] }
      throw CheckpointError(reading: error)
    }
  }

  /// The paths of all checkpoints, the newest first; opening tells whether they are complete.
  public func checkpoints() throws(CheckpointError) -> [String] {
    try found().reversed().map { "\(path)/\($0.text)" }
  }

  /// The checkpoint that a path refers to: the path itself, or the newest checkpoint of a run's directory.
  public static func checkpoint(at path: String) throws(CheckpointError) -> String {
    let path = Path(path).trimmed.text
    guard !CheckpointReader.exists("\(path)/checkpoints") else {
      return try CheckpointStore(path: "\(path)/checkpoints").checkpoints().first ?? path
    }
    return path
  }

  /// The path of an unfinished checkpoint of this step.
  public func draft(step: Int) -> String { "\(path)/.\(Name(step: step).text).\(token).partial" }

  /// Creates the directory durably, removes what a crash left unfinished, and starts a new checkpoint.
  ///
  /// - Returns: the directory that all ranks write their files into.
  public func begin(step: Int) throws(CheckpointError) -> String {
    let draft = draft(step: step)
    try writing { () throws(FileFault) in
      do throws(FileFault) {
        try files.createDirectory(path)
        try files.synchronizeDirectory(Path(path).parent.text)
      } catch {
        guard error.number == EEXIST else { throw error }
      }
    }
    clean()
    try writing { () throws(FileFault) in try files.createDirectory(draft) }
    return draft
  }

  /// Removes drafts and half-removed checkpoints that this program made.
  public func clean() {
    for name in (try? files.ownNames(in: path)) ?? [] where Self.isHidden(name) {
      let hidden = "\(path)/\(name)"
      if name.hasPrefix(".latest.") {
        try? files.removeFile(hidden)
      } else {
        try? files.removeTree(hidden, Self.isOwn)
      }
    }
  }

  /// Whether this is the name of a draft, of a checkpoint being removed, or of a `latest` being written.
  private static func isHidden(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[0].isEmpty, ["partial", "removed"].contains(parts[parts.count - 1]) else {
      return false
    }
    return parts[1] == "latest" || Name(String(parts[1])) != nil
  }

  /// Whether this program writes files of this name into a checkpoint.
  private static func isOwn(_ name: String) -> Bool { name == Manifest.fileName || name.hasSuffix(".qck") }

  /// Removes a checkpoint that could not be written. Errors are ignored: `clean` tries again.
  public func abandon(step: Int) { try? files.removeTree(draft(step: step), Self.isOwn) }

  /// Turns a draft, whose files are durable, into a checkpoint.
  ///
  /// - Returns: its path.
  public func publish(_ manifest: Manifest) throws(CheckpointError) -> String {
    let draft = draft(step: manifest.step)
    let taken = Set(try found().filter { $0.step == manifest.step }.map(\.number))
    let number = (1...).first { !taken.contains($0) } ?? 1
    let name = Name(step: manifest.step, number: number).text
    try writing { () throws(FileFault) in
      try files.writeFile("\(draft)/\(Manifest.fileName)", manifest.text())
      try files.synchronizeDirectory(draft)
      try files.rename(draft, to: "\(path)/\(name)")
      try files.synchronizeDirectory(path)
      let latest = "\(path)/.latest.\(token).partial"
      try files.writeFile(latest, Array("\(name)\n".utf8))
      try files.rename(latest, to: "\(path)/latest")
      try files.synchronizeDirectory(path)
    }
    return "\(path)/\(name)"
  }

  /// The result of pruning.
  public struct Pruning: Sendable, Equatable {
    /// The names removed.
    public var removed: [String] = []
    /// Why checkpoints stay that would have been removed, one line each.
    public var remarks: [String] = []
  }

  /// Removes all checkpoints but the newest `keep` that open, milestones (multiples of `milestones` steps, if that is
  /// not 0), damaged checkpoints, and those that contain foreign files; a person must decide about the last two.
  public func prune(keep: Int, milestones: Int) -> Pruning {
    var pruning = Pruning()
    var kept = 0
    let names: [Name]
    do { names = try found() } catch {
      pruning.remarks.append("old checkpoints are not removed: \(error)")
      return pruning
    }
    for name in names.reversed() {
      let checkpoint = "\(path)/\(name.text)"
      guard let reader = try? CheckpointReader(checkpoint, files: files) else { continue }
      if milestones > 0, name.step.isMultiple(of: milestones) { continue }
      kept += 1
      guard kept > keep else { continue }
      do throws(FileFault) {
        if let stranger = try stranger(in: checkpoint, reader.manifest) {
          pruning.remarks.append("\(checkpoint) is kept: '\(stranger)' in it is not a checkpoint's")
          continue
        }
        // A checkpoint's own name is never that of an incomplete one.
        let hidden = "\(path)/.\(name.text).\(token).removed"
        try files.rename(checkpoint, to: hidden)
        pruning.removed.append(name.text)
        do throws(FileFault) { try files.removeTree(hidden, Self.isOwn) } catch {
          pruning.remarks.append("parts of \(checkpoint) are left in \(hidden): \(error.problem)")
        }
      } catch { pruning.remarks.append("\(checkpoint) is not removed: \(error.problem)") }
    }
    return pruning
  }

  /// A foreign name in a checkpoint's directory, other than the names that network file systems give to removed files
  /// that are still open.
  private func stranger(in checkpoint: String, _ manifest: Manifest) throws(FileFault) -> String? {
    let own = Set(manifest.files.map(\.name) + [Manifest.fileName])
    return try files.ownNames(in: checkpoint).first { !own.contains($0) && !$0.hasPrefix(".nfs") }
  }

  /// Renames checkpoints newer than `step`: a run resumed from an older checkpoint will write those steps again.
  ///
  /// - Parameter damaged: paths of checkpoints to leave unchanged.
  /// - Returns: their former names; they are kept as `abandoned-<name>`.
  public func setAside(after step: Int, leaving damaged: [String] = []) throws(CheckpointError) -> [String] {
    var names: [String] = []
    for name in try found() where name.step > step && !damaged.contains("\(path)/\(name.text)") {
      try writing { () throws(FileFault) in
        let taken = Set(try files.names(in: path))
        let targets = (1...).lazy.map { "abandoned-\(name.text)\($0 == 1 ? "" : "-\($0)")" }
        guard let target = targets.first(where: { !taken.contains($0) }) else { return }
        try files.rename("\(path)/\(name.text)", to: "\(path)/\(target)")
        try files.synchronizeDirectory(path)
      }
      names.append(name.text)
    }
    return names
  }
}
