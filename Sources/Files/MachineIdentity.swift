import Glibc

/// Identifies the machine and its boot.
public enum MachineIdentity {
  public static let host: String = {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The kernel's identifier of this boot, the same in all containers; the host name if the kernel has none.
  public static let boot: String = {
    let text = SmallFile.text("/proc/sys/kernel/random/boot_id") ?? ""
    return text.isEmpty ? host : String(text.prefix { !$0.isWhitespace })
  }()
}

/// Small files of the operating system.
enum SmallFile {
  /// The first 4096 bytes of a file as text; nil if it cannot be read.
  static func text(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(file, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
