import CKernels
import Foundation
import Glibc

/// The cores that a process may use: its affinity mask (taskset, a cpuset, mpirun's binding), less what the quotas of its
/// control groups leave.
public struct UsableCores: Sendable, Equatable {
  /// The processors of the mask by number, rising; hardware threads count as cores.
  public let processors: [Int]
  /// The tightest quota of processor time; nil without any.
  public let quota: ProcessorQuota?

  public init(processors: [Int], quota: ProcessorQuota? = nil) {
    self.processors = processors
    self.quota = quota
  }

  /// Those of this process, now.
  public static var current: UsableCores {
    UsableCores(processors: processors(of: 0), quota: .tightest())
  }

  /// How many threads find a core of their own.
  public var count: Int { max(1, min(processors.count, quota?.wholeCores ?? .max)) }

  /// The mask of a process, 0 for this one; empty if it is unknown.
  public static func processors(of process: pid_t) -> [Int] {
    // The kernel says EINVAL where it knows more processors than there is room for.
    for size in [128, 1024, 8192, 65536] {
      var words = [UInt64](repeating: 0, count: size / 8)
      let code = words.withUnsafeMutableBytes { buffer in
        buffer.withMemoryRebound(to: UInt8.self) { bytes in
          bytes.baseAddress.map { ck_affinity(process, $0, Int64(size)) } ?? EINVAL
        }
      }
      if code == 0 { return (0..<8 * size).filter { words[$0 / 64].littleEndian >> UInt64($0 % 64) & 1 != 0 } }
      if code != EINVAL { break }
    }
    return []
  }

  /// The cores of each of several processes of one machine that run at the same time: what several may use is divided
  /// among them, processors as well as quotas. Each has at least one.
  public static func divided(_ all: [UsableCores]) -> [Int] {
    var users: [Int: Int] = [:]
    for processor in all.flatMap(\.processors) { users[processor, default: 0] += 1 }
    var members: [String: Int] = [:]
    for quota in all.compactMap(\.quota) { members[quota.group, default: 0] += 1 }
    return all.map { own in
      // Three thirds are one.
      let processors = own.processors.reduce(1e-9) { $0 + 1 / Double(users[$1] ?? 1) }
      let quota = own.quota.map { $0.wholeCores / (members[$0.group] ?? 1) } ?? .max
      return max(1, min(Int(processors), quota))
    }
  }
}

/// A control group's limit on processor time.
public struct ProcessorQuota: Sendable, Equatable {
  /// Cores' worth of time; not always whole.
  public let cores: Double
  /// The group's folder: all its processes share the time.
  public let group: String

  public init(cores: Double, group: String) {
    self.cores = cores
    self.group = group
  }

  /// Cores that the time is good for, rounded up as schedulers' requests are.
  var wholeCores: Int { Int(exactly: cores.rounded(.up)).map { max(1, $0) } ?? .max }

  /// The tightest quota of this process's groups and those around them, of versions 1 and 2.
  ///
  /// - Parameters:
  ///   - groups: the process's, as the system lists them.
  ///   - root: where control groups are mounted.
  public static func tightest(
    groups: String = "/proc/self/cgroup", root: String = "/sys/fs/cgroup"
  ) -> ProcessorQuota? {
    guard let text = try? String(contentsOfFile: groups, encoding: .utf8) else { return nil }
    var found: [ProcessorQuota] = []
    for line in text.split(separator: "\n") {
      // "0::/path" is of version 2, "4:cpu,cpuacct:/path" of version 1.
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = parts[1].split(separator: ",")
      guard controllers.isEmpty || controllers.contains("cpu") else { continue }
      let mounts = controllers.isEmpty ? [root, "\(root)/unified"] : ["\(root)/cpu", "\(root)/\(parts[1])"]
      // In a container the path may be the host's, of which only the end of the way up is there.
      var path = parts[2].split(separator: "/")
      while true {
        let folders = mounts.map { ([$0[...]] + path).joined(separator: "/") }
        found += folders.compactMap { quota(of: $0, isUnified: controllers.isEmpty) }
        if path.popLast() == nil { break }
      }
    }
    return found.min { $0.cores < $1.cores }
  }

  private static func quota(of folder: String, isUnified: Bool) -> ProcessorQuota? {
    let names = isUnified ? ["cpu.max"] : ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    let numbers = names.compactMap { try? String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }
      .flatMap { $0.split(whereSeparator: \.isWhitespace) }.compactMap { Double($0) }
    // "max" and -1 mean that there is no limit.
    guard numbers.count == 2, numbers.allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
    return ProcessorQuota(cores: numbers[0] / numbers[1], group: folder)
  }
}
