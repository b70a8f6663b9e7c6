import Foundation

/// Memory that this process can still be given: what the machine has free, or less where a control group limits it.
public enum AvailableMemory {
  /// Bytes without swapping; nil where the system does not say.
  public static var bytes: Int? { [machine, controlGroup()].compactMap { $0 }.min() }

  /// What `ulimit -v` leaves this process of its address space; nil without such a limit.
  package static var addressSpace: Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur < Int.max else { return nil }
    return max(0, Int(limit.rlim_cur) - 1024 * (field("VmSize:", of: "/proc/self/status") ?? 0))
  }

  /// MemAvailable of Linux.
  private static var machine: Int? {
    field("MemAvailable:", of: "/proc/meminfo").map { 1024 * $0 }
  }

  /// What the limits of this process's control group and of those above it leave, in both versions of control groups.
  ///
  /// - Parameters:
  ///   - membership: the file that names the groups.
  ///   - root: where groups are mounted.
  package static func controlGroup(membership: String = "/proc/self/cgroup", root: String = "/sys/fs/cgroup") -> Int? {
    guard let text = try? String(contentsOfFile: membership, encoding: .utf8) else { return nil }
    var rooms: [Int] = []
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
      let mount = isUnified ? root : "\(root)/memory"
      // A group's own path is not there in a container that sees only its part of the tree: its root is.
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

  /// What the files of a group are called.
  private struct Names {
    let limit: String
    let usage: String
    /// Of the pages of files that the group holds and the system can take back.
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

  /// A file's only number; nil for `max`.
  private static func number(_ path: String) -> Int? {
    (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
      Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }

  /// The first number after a line's name.
  private static func field(_ name: String, of path: String) -> Int? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
    else { return nil }
    return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }
}
