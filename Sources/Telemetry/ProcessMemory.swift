import Foundation

/// Memory of this process in bytes, as the system counts it.
public enum ProcessMemory {
  /// The maximum resident size so far; nil if the system does not report it.
  public static var peakBytes: Int? { field("VmHWM") }
  /// The resident size now; nil if the system does not report it.
  public static var residentBytes: Int? { field("VmRSS") }

  private static func field(_ name: String) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(name):") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { 1024 * $0 }
  }
}
