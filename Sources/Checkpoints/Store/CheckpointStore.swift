import Foundation

/// The directory `checkpoints/` of a run: `step-000100/`, … , and `latest`, a file with the name of the newest.
///
/// A checkpoint is written under a hidden name and renamed once all of it is durable, so what has a checkpoint's name is
/// one. Only one rank (0) calls the methods that change anything.
public struct CheckpointStore: Sendable {
  public let path: String
  private let files: any FileLayer

  public init(path: String, files: any FileLayer = SystemFiles()) {
    self.path = path
    self.files = files
  }

  /// A checkpoint's name: step, and a number from 2 on where a damaged one has the plain name already.
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

  /// The paths of all checkpoints, the newest first; whether they are whole, opening them tells.
  public func checkpoints() throws(CheckpointError) -> [String] {
    try found().reversed().map { "\(path)/\($0.text)" }
  }

  /// The checkpoint that a path stands for: itself, or the newest of a run's directory.
  public static func checkpoint(at path: String) throws(CheckpointError) -> String {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    guard !CheckpointReader.exists("\(path)/checkpoints") else {
      return try CheckpointStore(path: "\(path)/checkpoints").checkpoints().first ?? path
    }
    return path
  }

  /// The path that checkpoints of this step are written at before they are whole.
  public func draft(step: Int) -> String { "\(path)/.\(Name(step: step).text).partial" }

  /// Makes the directory durably, removes what a crash left unfinished, and starts a new checkpoint.
  ///
  /// - Returns: the directory that all ranks write their files into.
  public func begin(step: Int) throws(CheckpointError) -> String {
    let draft = draft(step: step)
    try writing { () throws(FileFault) in
      do throws(FileFault) {
        try files.createDirectory(path)
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        try files.synchronizeDirectory(parent)
      } catch {
        guard error.number == EEXIST else { throw error }
      }
    }
    try clean()
    try writing { () throws(FileFault) in try files.createDirectory(draft) }
    return draft
  }

  /// Removes drafts and half-removed checkpoints.
  public func clean() throws(CheckpointError) {
    try writing { () throws(FileFault) in
      for name in try files.names(in: path) where name.hasPrefix(".step-") || name.hasPrefix(".latest") {
        if name.hasPrefix(".latest") {
          try files.removeFile("\(path)/\(name)")
        } else {
          try files.removeTree("\(path)/\(name)")
        }
      }
    }
  }

  /// Gives up a checkpoint that could not be written; faults on the way do not matter, `clean` comes again.
  public func abandon(step: Int) { do { try files.removeTree(draft(step: step)) } catch { return } }

  /// Makes a draft, whose files are durable, a checkpoint.
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
      try files.writeFile("\(path)/.latest.partial", Array("\(name)\n".utf8))
      try files.rename("\(path)/.latest.partial", to: "\(path)/latest")
      try files.synchronizeDirectory(path)
    }
    return "\(path)/\(name)"
  }

  /// Removes all but the newest `keep` checkpoints that open, milestones (multiples of `milestones` steps, where that is
  /// not 0), and damaged ones, which are left for people to look at.
  ///
  /// - Returns: the names removed.
  public func prune(keep: Int, milestones: Int) throws(CheckpointError) -> [String] {
    var kept = 0
    var removed: [String] = []
    for name in try found().reversed() {
      let checkpoint = "\(path)/\(name.text)"
      do throws(CheckpointError) { _ = try CheckpointReader(checkpoint, files: files) } catch { continue }
      if milestones > 0, name.step.isMultiple(of: milestones) { continue }
      kept += 1
      guard kept > keep else { continue }
      // Under its own name it is whole or not there.
      let hidden = "\(path)/.\(name.text).removed"
      try writing { () throws(FileFault) in
        try files.rename(checkpoint, to: hidden)
        try files.removeTree(hidden)
      }
      removed.append(name.text)
    }
    return removed
  }

  /// Takes checkpoints that are newer than `step` out of the way: a run that goes on from an older one makes others.
  ///
  /// - Parameter damaged: paths of those that are left as they are.
  /// - Returns: the names they had; they are kept as `abandoned-<name>`.
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
