import Glibc

/// Names of unfinished files and directories: `.quillan-<machine>-<random>.partial`.
///
/// The names are unpredictable. The middle part identifies the boot of the machine: only during that boot does a lock
/// tell whether the process that made the file is alive.
public enum TemporaryName {
  private static let prefix = ".quillan-"
  private static let suffix = ".partial"

  public static func make() -> String { "\(prefix)\(machine)-\(RandomName.make())\(suffix)" }

  /// Whether the name was made during this boot of this machine.
  static func isLocal(_ name: String) -> Bool {
    name.hasPrefix("\(prefix)\(machine)-") && name.hasSuffix(suffix)
  }

  private static let machine = String(MachineIdentity.boot.filter(\.isHexDigit).prefix(8))

  /// Removes the temporary files of this user's processes that have ended: those without a lock.
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

/// Unpredictable names.
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
