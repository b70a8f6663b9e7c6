import COpenBLAS
import CZstd
import Errors
import Foundation
import Tensors

/// Describes the machine and the libraries, one row each.
public struct MachineDescription: Sendable {
  /// Names and values.
  public let rows: [(String, String)]

  /// The current state of this machine.
  public static var current: MachineDescription {
    let process = ProcessInfo.processInfo
    return MachineDescription(rows: [
      ("system", process.operatingSystemVersionString),
      ("kernel", kernel),
      ("processor", field("model name", of: "/proc/cpuinfo") ?? "unknown"),
      ("cores", cores(of: process.processorCount)),
      ("memory", FigureText.bytes(Int(process.physicalMemory))),
      ("memory available", field("MemAvailable", of: "/proc/meminfo") ?? "unknown"),
      ("instruction sets", Kernels.available.joined(separator: ", ")),
      ("instruction set in use", Kernels.name),
      ("bf16 dot products", Kernels.bfloat16Dot),
      ("swift", compiler),
      ("OpenBLAS", String(cString: openblas_get_config())),
      ("oneDNN", OneDNNProduct.version ?? "left out of this build"),
      ("zstd", String(cString: ZSTD_versionString())),
    ])
  }

  /// The number of cores that this process may use, and the limits that exclude others.
  private static func cores(of all: Int) -> String {
    let own = UsableCores.current
    let mask = own.processors.count < all ? ["affinity \(own.processors.count)"] : []
    let quota = own.quota.map { ["quota \(FigureText.fixed($0.cores, 2)) by \($0.group)"] } ?? []
    let limits = mask + quota
    return "\(own.count) usable of \(all)" + (limits.isEmpty ? "" : " (\(limits.joined(separator: ", ")))")
  }

  /// The value of the first line of the form `name : value`.
  private static func field(_ name: String, of path: String) -> String? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
  }

  private static var kernel: String {
    var names = utsname()
    guard uname(&names) == 0 else { return "unknown" }
    func text<Field>(_ field: Field) -> String {
      withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
  }

  /// The compiler version, as far as conditional compilation can tell.
  private static var compiler: String {
    #if compiler(>=6.4)
      "6.4 or later"
    #elseif compiler(>=6.3)
      "6.3"
    #elseif compiler(>=6.2)
      "6.2"
    #else
      "6.1"
    #endif
  }
}
