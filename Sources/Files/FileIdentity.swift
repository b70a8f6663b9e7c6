import Glibc

/// The object that a name refers to, without following a link.
public struct FileIdentity: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    case regular, directory, link, characterDevice, blockDevice, pipe, socket

    init(mode: mode_t) {
      switch mode & S_IFMT {
      case S_IFDIR: self = .directory
      case S_IFLNK: self = .link
      case S_IFCHR: self = .characterDevice
      case S_IFBLK: self = .blockDevice
      case S_IFIFO: self = .pipe
      case S_IFSOCK: self = .socket
      default: self = .regular
      }
    }

    /// The kind with its article.
    public var description: String {
      switch self {
      case .regular: "a regular file"
      case .directory: "a directory"
      case .link: "a symbolic link"
      case .characterDevice: "a device"
      case .blockDevice: "a block device"
      case .pipe: "a named pipe"
      case .socket: "a socket"
      }
    }
  }

  public let kind: Kind
  public let owner: uid_t
  public let mode: mode_t
  let device: dev_t
  let inode: ino_t
  let links: nlink_t

  init(_ status: stat) {
    kind = Kind(mode: status.st_mode)
    owner = status.st_uid
    mode = status.st_mode & 0o7777
    device = status.st_dev
    inode = status.st_ino
    links = status.st_nlink
  }

  /// The object at `path`; nil if there is none.
  ///
  /// - Throws: `FileFault` if the system cannot tell.
  public static func at(_ path: String) throws(FileFault) -> FileIdentity? {
    var status = stat()
    if lstat(path, &status) == 0 { return FileIdentity(status) }
    guard errno == ENOENT else { throw FileFault("inspect the file", path: path, number: errno) }
    return nil
  }

  /// The object that a descriptor has open.
  static func of(_ descriptor: Int32) -> FileIdentity? {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? FileIdentity(status) : nil
  }

  func isSame(_ other: FileIdentity) -> Bool { device == other.device && inode == other.inode }
}
