import Foundation

/// Memory of this process, as the system counts it.
public enum ProcessMemory {
  /// The most bytes that were resident so far; nil where the system does not say.
  public static var peakBytes: Int? { field("VmHWM") }
  /// Bytes that are resident now; nil where the system does not say.
  public static var residentBytes: Int? { field("VmRSS") }

  private static func field(_ name: String) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(name):") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { 1024 * $0 }
  }
}
