import Checkpoints
import Files
import Foundation
import Synchronization

/// Files in memory that lose unsynchronized data at a crash, and that fail or crash at a chosen operation.
final class MemoryFiles: FileLayer, @unchecked Sendable {
  final class Node {
    var bytes: [UInt8] = []
    var durable = 0
  }

  /// The fault at an operation.
  enum Fault: Equatable {
    case none
    /// The process has ended: this operation and all later ones fail; a write may be partial.
    case crash(afterWriting: Int)
    /// The disk is full from here on: writes and new files fail.
    case full
    /// A write takes one byte at a time.
    case short
  }

  private let lock = NSLock()
  private var names: [String: Node] = [:]
  private var directories: Set<String> = [""]
  private var durableNames: [String: Node] = [:]
  private var durableDirectories: Set<String> = [""]
  private(set) var operations = 0
  private var fault = Fault.none
  private var faultAt = Int.max
  private var isGone = false

  /// Makes operation `at` fail, counted from 0 from this call on.
  func arm(_ fault: Fault, at number: Int) {
    lock.withLock {
      self.fault = fault
      faultAt = number
      operations = 0
    }
  }

  /// Restarts the machine. `keeping` is the share of a file's unsynchronized bytes that survive; unsynchronized names
  /// survive or not.
  func restart(keepingBytes share: Double, keepingNames: Bool) {
    lock.withLock {
      if !keepingNames {
        names = durableNames
        directories = durableDirectories
      }
      for node in Set(names.values.map(ObjectIdentifier.init)).compactMap({ id in
        names.values.first { ObjectIdentifier($0) == id }
      }) {
        let extra = node.bytes.count - node.durable
        node.bytes = Array(node.bytes.prefix(node.durable + Int(Double(extra) * share)))
        node.durable = node.bytes.count
      }
      durableNames = names
      durableDirectories = directories
      isGone = false
      faultAt = Int.max
    }
  }

  /// All files by path.
  var contents: [String: [UInt8]] { lock.withLock { names.mapValues(\.bytes) } }

  /// Replaces a file's bytes, to damage it.
  func set(_ path: String, _ bytes: [UInt8]) {
    lock.withLock {
      let node = Node()
      node.bytes = bytes
      node.durable = bytes.count
      names[path] = node
    }
  }

  /// Counts an operation; returns how many bytes a write may store.
  private func step(_ operation: String, _ path: String, writing count: Int? = nil) throws(FileFault) -> Int {
    if isGone { throw FileFault(operation, path: path, number: EIO) }
    defer { operations += 1 }
    guard operations >= faultAt else { return count ?? 0 }
    switch fault {
    case .none: return count ?? 0
    case .crash(let done):
      isGone = true
      if let count { return -min(count, done) - 1 }
      throw FileFault(operation, path: path, number: EIO)
    case .full:
      if count != nil || operation.hasPrefix("create") { throw FileFault(operation, path: path, number: ENOSPC) }
      return 0
    case .short: return min(count ?? 0, 1)
    }
  }

  private static func parent(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  func createFile(_ path: String) throws(FileFault) -> any WritableFile {
    try locked { () throws(FileFault) in
      _ = try step("create the file", path)
      guard names[path] == nil else { throw FileFault("create the file", path: path, number: EEXIST) }
      guard directories.contains(Self.parent(path)) else {
        throw FileFault("create the file", path: path, number: ENOENT)
      }
      let node = Node()
      names[path] = node
      return Writable(self, path, node)
    }
  }

  func openFile(_ path: String) throws(FileFault) -> any ReadableFile {
    try locked { () throws(FileFault) in
      guard let node = names[path] else { throw FileFault("open the file", path: path, number: ENOENT) }
      return Readable(node.bytes)
    }
  }

  func createDirectory(_ path: String) throws(FileFault) {
    try locked { () throws(FileFault) in
      _ = try step("create the directory", path)
      guard directories.insert(path).inserted else {
        throw FileFault("create the directory", path: path, number: EEXIST)
      }
    }
  }

  func rename(_ source: String, to target: String) throws(FileFault) {
    try locked { () throws(FileFault) in
      _ = try step("rename", source)
      if directories.contains(source) {
        guard !names.keys.contains(where: { $0.hasPrefix(target + "/") }) else {
          throw FileFault("rename", path: target, number: ENOTEMPTY)
        }
        directories.remove(source)
        directories.insert(target)
        for (path, node) in names where path.hasPrefix(source + "/") {
          names[path] = nil
          names[target + path.dropFirst(source.count)] = node
        }
      } else {
        guard let node = names.removeValue(forKey: source) else {
          throw FileFault("rename", path: source, number: ENOENT)
        }
        names[target] = node
      }
    }
  }

  func removeFile(_ path: String) throws(FileFault) {
    try locked { () throws(FileFault) in
      _ = try step("remove the file", path)
      guard names.removeValue(forKey: path) != nil else {
        throw FileFault("remove the file", path: path, number: ENOENT)
      }
    }
  }

  func removeDirectory(_ path: String) throws(FileFault) {
    try locked { () throws(FileFault) in
      _ = try step("remove the directory", path)
      guard !names.keys.contains(where: { $0.hasPrefix(path + "/") }) else {
        throw FileFault("remove the directory", path: path, number: ENOTEMPTY)
      }
      directories.remove(path)
    }
  }

  /// Makes the current names in the directory durable; files that have moved elsewhere are gone.
  func synchronizeDirectory(_ name: String) throws(FileFault) {
    let path = name == "." ? "" : name
    try locked { () throws(FileFault) in
      _ = try step("sync the directory", path)
      // A directory's entries include its subdirectories, whose contents move with them.
      for directory in durableDirectories where Self.parent(directory) == path && !directories.contains(directory) {
        durableDirectories.remove(directory)
        for name in durableNames.keys where name.hasPrefix(directory + "/") { durableNames[name] = nil }
      }
      for directory in directories where Self.parent(directory) == path && !durableDirectories.contains(directory) {
        durableDirectories.insert(directory)
        for (name, node) in names
        where name.hasPrefix(directory + "/") && synchronizedNames.contains(ObjectIdentifier(node)) {
          durableNames[name] = node
        }
      }
      for name in durableNames.keys where Self.parent(name) == path && names[name] == nil { durableNames[name] = nil }
      for (name, node) in names where Self.parent(name) == path {
        durableNames[name] = node
        synchronizedNames.insert(ObjectIdentifier(node))
      }
    }
  }

  /// Files whose name in their directory is durable; they move with the directory.
  private var synchronizedNames: Set<ObjectIdentifier> = []

  func names(in name: String) throws(FileFault) -> [String] {
    let directory = name == "." ? "" : name
    return try locked { () throws(FileFault) in
      guard directories.contains(directory) else {
        throw FileFault("list the directory", path: directory, number: ENOENT)
      }
      let all =
        names.keys.filter { Self.parent($0) == directory }
        + directories.filter { Self.parent($0) == directory && $0 != directory }
      return all.map { String($0.dropFirst(directory.isEmpty ? 0 : directory.count + 1)) }.sorted()
    }
  }

  private func locked<Result>(_ body: () throws(FileFault) -> Result) throws(FileFault) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }

  private final class Writable: WritableFile, @unchecked Sendable {
    let files: MemoryFiles
    let path: String
    let node: Node

    init(_ files: MemoryFiles, _ path: String, _ node: Node) {
      self.files = files
      self.path = path
      self.node = node
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(FileFault) -> Int {
      try files.locked { () throws(FileFault) in
        let count = try files.step("write", path, writing: bytes.count)
        node.bytes += bytes.prefix(count < 0 ? -count - 1 : count)
        if count < 0 { throw FileFault("write", path: path, number: EIO) }
        return count
      }
    }

    func synchronize() throws(FileFault) {
      try files.locked { () throws(FileFault) in
        _ = try files.step("sync", path)
        node.durable = node.bytes.count
      }
    }

    func close() throws(FileFault) {
      try files.locked { () throws(FileFault) in _ = try files.step("close", path) }
    }
  }

  private final class Readable: ReadableFile {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    var byteCount: Int { bytes.count }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileFault) -> Int {
      guard offset < bytes.count else { return 0 }
      let count = min(target.count, bytes.count - offset)
      target.copyBytes(from: bytes[offset..<offset + count])
      return count
    }
  }
}
