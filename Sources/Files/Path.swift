import Glibc

/// A path as the system interprets it: bytes between slashes.
///
/// Every operation has a result for every text: a single letter, no folder, `.`, `..`, `/`, the empty text, trailing
/// slashes. Operations work on bytes, so a slash separates even if a combining mark follows it.
public struct Path: Sendable, Hashable, CustomStringConvertible {
  private static let slash = UInt8(ascii: "/")
  /// Linux's limit, without the terminating NUL.
  static let longestPath = 4095
  static let longestName = 255

  public let text: String

  public init(_ text: String) { self.text = text }

  public var description: String { text }

  /// The path without trailing slashes; `/` is unchanged.
  public var trimmed: Path {
    let bytes = text.utf8
    guard bytes.last == Self.slash, let end = bytes.lastIndex(where: { $0 != Self.slash }) else {
      return bytes.last == Self.slash ? Path("/") : self
    }
    return Path(String(text[...end]))
  }

  /// The last component: `c` of `a/b/c` and of `a/b/c/`; `/` of the root, empty for the empty path.
  public var name: String {
    let path = trimmed
    guard path.text != "/", let cut = path.text.utf8.lastIndex(of: Self.slash) else { return path.text }
    return String(path.text[path.text.utf8.index(after: cut)...])
  }

  /// The path without its last component: `a/b` of `a/b/c`, `.` of `c`, `/` of `/c` and of `/`.
  public var parent: Path {
    let path = trimmed
    guard path.text != "/" else { return path }
    guard let cut = path.text.utf8.lastIndex(of: Self.slash) else { return Path(".") }
    return cut == path.text.startIndex ? Path("/") : Path(String(path.text[..<cut])).trimmed
  }

  /// Whether the text ends in a slash, so that it names a directory.
  public var endsInSlash: Bool { text.utf8.last == Self.slash }

  public func appending(_ component: String) -> Path {
    text.isEmpty ? Path(component) : Path(endsInSlash ? text + component : "\(text)/\(component)")
  }

  /// The names of the components; none for `/` and the empty path.
  public var components: [String] {
    text.utf8.split(separator: Self.slash).map { String(Substring($0)) }
  }

  /// Why the path is not valid, as the predicate of a sentence about it; nil if it is valid.
  public var problem: String? {
    if text.isEmpty { return "is empty" }
    if text.utf8.contains(0) { return "holds a NUL byte" }
    if text.utf8.count > Self.longestPath { return "has \(text.utf8.count) bytes, more than \(Self.longestPath)" }
    if let long = components.first(where: { $0.utf8.count > Self.longestName }) {
      return "has a component of \(long.utf8.count) bytes, more than \(Self.longestName)"
    }
    return nil
  }

  /// The path without links, `.` and `..`; nil if it does not exist.
  public var real: Path? {
    guard problem == nil, let buffer = realpath(text, nil) else { return nil }
    defer { free(buffer) }
    return String(validatingCString: buffer).map { Path($0) }
  }

  /// An equivalent path whose last `count` components are names, neither `.` nor `..`: this path if it ends in such
  /// components, otherwise the real path; nil if neither does.
  public func naming(_ count: Int) -> Path? {
    func isNamed(_ path: Path) -> Bool {
      let last = path.components.suffix(count)
      return last.count == count && !last.contains(".") && !last.contains("..")
    }
    if isNamed(self) { return trimmed }
    return real.flatMap { isNamed($0) ? $0 : nil }
  }
}
