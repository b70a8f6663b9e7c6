import Foundation

/// Directories to which exports write.
enum OutputDirectory {
  /// Checks, before the work starts, that files with these names can be written to a directory, which may be missing.
  static func check(_ path: String, names: [String], _ replacing: OutputOptions) throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    for name in names { try replacing.check("\(path)/\(name)") }
  }

  static func create(_ path: String) throws(CommandError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw CommandError(
        .failure, at: path, "cannot create the directory", remedy: "check the path and its permissions")
    }
  }
}
