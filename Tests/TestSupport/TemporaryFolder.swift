import Foundation

/// A folder that lives as long as the object.
public final class TemporaryFolder {
  public let url: URL

  public init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  public func url(_ name: String) -> URL { url.appendingPathComponent(name) }

  /// The path of a name, which may end in a slash or hold any character.
  public func path(_ name: String) -> String { "\(url.path)/\(name)" }

  /// Writes a file and returns its URL.
  @discardableResult public func write(_ data: Data, to name: String) throws -> URL {
    try data.write(to: url(name))
    return url(name)
  }

  @discardableResult public func write(_ text: String, to name: String) throws -> URL {
    try write(Data(text.utf8), to: name)
  }

  public func data(_ name: String) throws -> Data { try Data(contentsOf: url(name)) }

  /// The text of a file; nil if it cannot be read.
  public func text(_ name: String) -> String? { (try? data(name)).map { String(decoding: $0, as: UTF8.self) } }

  public func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(at: url(name), withIntermediateDirectories: true)
  }

  public func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: path(name), withDestinationPath: target)
  }

  /// All names in the folder, hidden ones included, sorted.
  public var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() } }
}
