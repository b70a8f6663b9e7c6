import ArgumentParser
import Files

/// Paths of the command line, checked before anything is done with them.
enum PathCheck {
  /// - Parameter paths: by the name of their option or argument.
  /// - Throws: `ValidationError` (exit code 2) for a text that cannot be a path.
  static func validate(_ paths: KeyValuePairs<String, String?>) throws {
    for (name, path) in paths {
      guard let path, let problem = Path(path).problem else { continue }
      throw ValidationError("\(name) \(problem); give the path of a file or directory")
    }
  }
}
