import Foundation

/// The memory that this process can still allocate: the free memory of the machine, or less if a control group limits it.
public enum AvailableMemory {
  /// Bytes without swapping; nil if unknown.
  public static var bytes: Int? { [machine, controlGroup()].compactMap { $0 }.min() }

  /// Bytes of address space that `ulimit -v` still allows; nil without that limit.
  package static var addressSpace: Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur < Int.max else { return nil }
    return max(0, Int(limit.rlim_cur) - 1024 * (field("VmSize:", of: "/proc/self/status") ?? 0))
  }

  /// `MemAvailable` of Linux.
  private static var machine: Int? {
    field("MemAvailable:", of: "/proc/meminfo").map { 1024 * $0 }
  }

  /// The bytes that the limits of this process's control group and its parents still allow (cgroup v1 and v2).
  ///
  /// - Parameters:
  ///   - membership: the file that lists the groups of the process.
  ///   - root: the mount point of the groups.
  package static func controlGroup(membership: String = "/proc/self/cgroup", root: String = "/sys/fs/cgroup") -> Int? {
    guard let text = try? String(contentsOfFile: membership, encoding: .utf8) else { return nil }
    var rooms: [Int] = []
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
      let mount = isUnified ? root : "\(root)/memory"
      // A container may see only its part of the tree, in which the listed path does not exist but a parent does.
      var path = parts[2].split(separator: "/")
      while true {
        let folder = ([mount] + path.map(String.init)).joined(separator: "/")
        rooms += [room(folder, isUnified ? Names.unified : Names.first)].compactMap { $0 }
        guard !path.isEmpty else { break }
        path.removeLast()
      }
    }
    return rooms.min()
  }

  /// File names of a group.
  private struct Names {
    let limit: String
    let usage: String
    /// The field of `memory.stat` that counts reclaimable pages of the file cache.
    let cache: String

    static let unified = Names(limit: "memory.max", usage: "memory.current", cache: "inactive_file")
    static let first = Names(
      limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cache: "total_inactive_file")
  }

  private static func room(_ folder: String, _ names: Names) -> Int? {
    guard let limit = number("\(folder)/\(names.limit)"), let usage = number("\(folder)/\(names.usage)") else {
      return nil
    }
    let cache = field("\(names.cache) ", of: "\(folder)/memory.stat") ?? 0
    return max(0, limit - max(0, usage - cache))
  }

  /// The only number in a file; nil for `max`.
  private static func number(_ path: String) -> Int? {
    (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
      Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }

  /// The first number of the line that begins with `name`.
  private static func field(_ name: String, of path: String) -> Int? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
    else { return nil }
    return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }
}
