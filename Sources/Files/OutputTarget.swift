import Glibc

/// The destination of an output: what its path means under a policy.
enum OutputTarget {
  /// This process's own open descriptor: /dev/stdout, /dev/fd/3.
  case descriptor(Int32)
  /// A device or a named pipe.
  case stream(path: String)
  /// A name in a directory: a new file, or a regular file that is replaced.
  case file(directory: String, name: String, old: FileIdentity?)

  private static let longestChain = 40

  /// - Throws: `OutputError` if the policy does not allow writing there.
  init(_ path: String, _ policy: OutputPolicy) throws(OutputError) {
    if let problem = Path(path).problem {
      throw .refused(path, "the path of the output \(problem)", "name a file")
    }
    if Path(path).endsInSlash {
      throw .refused(path, "the path of the output ends in a slash", "name a file, not a directory")
    }
    var target = path
    for _ in 0..<Self.longestChain {
      if policy != .own, let number = Self.descriptor(named: target) {
        self = .descriptor(number)
        return
      }
      let (directory, name) = (Path(target).parent.text, Path(target).name)
      let identity: FileIdentity?
      do { identity = try FileIdentity.at(target) } catch {
        throw OutputError(
          code: .inaccessible, path: path, problem: error.problem, remedy: "check that its directory exists")
      }
      guard let identity, name != ".", name != ".." else {
        self = .file(directory: directory, name: name, old: nil)
        if name == "." || name == ".." { throw .refused(path, "is a directory", "name a file in it") }
        return
      }
      switch (identity.kind, policy) {
      case (.regular, .own), (.regular, .replacing):
        self = .file(directory: directory, name: name, old: identity)
        return
      case (.regular, .new):
        throw .refused(path, "already exists and is not replaced", "name another file, or replace it with --force")
      case (.characterDevice, .new), (.characterDevice, .replacing), (.pipe, .new), (.pipe, .replacing):
        self = .stream(path: target)
        return
      case (.link, .new), (.link, .replacing):
        target = try Self.destination(of: target, identity, for: path)
      case (.directory, .own):
        throw .refused(path, "is a directory, where this program writes a file", "move it away")
      case (.directory, _): throw .refused(path, "is a directory", "name a file in it")
      case (let kind, .own):
        throw .refused(path, "is \(kind.description), where this program writes a file", "move it away")
      case (let kind, _):
        throw .refused(path, "is \(kind.description), to which outputs are not written", "name a file")
      }
    }
    throw .refused(path, "is a chain of more than \(Self.longestChain) links", "name a file")
  }

  /// The number in `/dev/fd/1`, also for /dev/stdout and /dev/stderr: opening these paths would start at the beginning
  /// of the file.
  private static func descriptor(named path: String) -> Int32? {
    switch path {
    case "/dev/stdout": return STDOUT_FILENO
    case "/dev/stderr": return STDERR_FILENO
    default:
      for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
        return Int32(path.dropFirst(folder.count))
      }
      return nil
    }
  }

  /// The destination of a link.
  ///
  /// In a directory where every user may create names (/tmp), another user's link is not followed: that user would
  /// choose which file is written.
  private static func destination(of link: String, _ identity: FileIdentity, for path: String)
    throws(OutputError) -> String
  {
    let parent = Path(link).parent
    var status = stat()
    let isShared = stat(parent.text, &status) == 0 && status.st_mode & (S_ISVTX | S_IWOTH) == S_ISVTX | S_IWOTH
    guard !isShared || identity.owner == geteuid() || identity.owner == status.st_uid else {
      throw .refused(
        path, "is a link that another user has made in a directory open to all", "name a file of your own")
    }
    var bytes = [CChar](repeating: 0, count: Path.longestPath + 1)
    let count = readlink(link, &bytes, bytes.count)
    guard count > 0, let text = String(validating: bytes.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    else {
      throw .refused(path, "is a link whose destination cannot be read", "name a file")
    }
    return text.hasPrefix("/") ? text : parent.appending(text).text
  }
}
