import Glibc

/// Names of files and directories that are not whole yet: `.quillan-<machine>-<random>.partial`.
///
/// Nobody can foresee them. The middle says on which start of which machine they were made: there alone a lock on them
/// proves whether their maker lives.
public enum TemporaryName {
  private static let prefix = ".quillan-"
  private static let suffix = ".partial"

  public static func make() -> String { "\(prefix)\(machine)-\(RandomName.make())\(suffix)" }

  /// Whether this start of this machine has made the name.
  static func isLocal(_ name: String) -> Bool {
    name.hasPrefix("\(prefix)\(machine)-") && name.hasSuffix(suffix)
  }

  private static let machine = String(MachineIdentity.boot.filter(\.isHexDigit).prefix(8))

  /// Removes what a process of this user that is gone has left in the directory: nobody holds the lock on it any more.
  public static func clearLeftovers(in directory: DirectoryHandle) {
    guard let names = try? directory.names() else { return }
    for name in names where isLocal(name) {
      let file = openat(directory.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      guard file >= 0 else { continue }
      defer { close(file) }
      guard let identity = FileIdentity.of(file), identity.owner == geteuid(), flock(file, LOCK_EX | LOCK_NB) == 0
      else { continue }
      if identity.kind == .regular, identity.links == 1 { unlinkat(directory.descriptor, name, 0) }
      if identity.kind == .directory { removeDraft(name, in: directory) }
    }
  }

  /// Removes a directory of regular files.
  private static func removeDraft(_ name: String, in parent: DirectoryHandle) {
    guard let draft = try? parent.directory(name), let names = try? draft.names() else { return }
    for file in names where (try? draft.identity(file))??.kind == .regular { try? draft.removeFile(file) }
    try? parent.removeDirectory(name)
  }
}

/// Names that nobody can foresee.
public enum RandomName {
  /// 128 random bits as 32 hexadecimal digits.
  public static func make() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}

/// Which machine this is, and which of its starts.
public enum MachineIdentity {
  public static let host: String = {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The kernel's number of this start, the same in all its containers; the host's name where the kernel has none.
  public static let boot: String = {
    let text = SmallFile.text("/proc/sys/kernel/random/boot_id") ?? ""
    return text.isEmpty ? host : String(text.prefix { !$0.isWhitespace })
  }()
}

/// Small files of the system.
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
