import ArgumentParser
import Files

/// Checks the paths on the command line before they are used.
enum PathCheck {
  /// - Parameter paths: paths by the name of the option or argument.
  /// - Throws: `ValidationError` (exit code 2) for text that cannot be a path.
  static func validate(_ paths: KeyValuePairs<String, String?>) throws {
    for (name, path) in paths {
      guard let path, let problem = Path(path).problem else { continue }
      throw ValidationError("\(name) \(problem); give the path of a file or directory")
    }
  }
}
