import Foundation

/// A folder that exists while a test's closure runs.
struct TemporaryFolder {
  private let directory: URL

  static func with(_ body: (TemporaryFolder) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(TemporaryFolder(directory: directory))
  }

  func url(_ name: String) -> URL { directory.appendingPathComponent(name) }

  func write(_ data: Data, to name: String) throws -> URL {
    try data.write(to: url(name))
    return url(name)
  }

  func write(_ text: String, to name: String) throws -> URL { try write(Data(text.utf8), to: name) }
}
