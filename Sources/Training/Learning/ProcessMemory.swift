import Foundation

/// Memory of this process.
enum ProcessMemory {
  /// The most that was ever resident, in bytes; not a number where the system does not say.
  static var peakBytes: Double {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(separator: " ").dropLast().last.flatMap({ Double($0) })
    else { return .nan }
    return kibibytes * 1024
  }
}
