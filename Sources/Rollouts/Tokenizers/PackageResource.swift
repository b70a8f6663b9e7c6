import Foundation

/// The resource files of this package, in `quillan_Rollouts.resources` beside the executable.
///
/// `Bundle.module` is not used because it ends the process if the folder is missing.
enum PackageResource {
  static func text(named name: String) throws(TokenizerError) -> String {
    let folder = "quillan_Rollouts.resources"
    let executable = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    let directories = [Bundle.main.bundleURL, executable].compactMap { $0 }
    for directory in directories {
      let url = directory.appendingPathComponent("\(folder)/Resources/\(name)")
      guard FileManager.default.fileExists(atPath: url.path) else { continue }
      do {
        return try TextFile.text(at: url)
      } catch {
        throw TokenizerError(file: error.file, line: error.line, problem: error.problem, remedy: error.remedy)
      }
    }
    throw TokenizerError(
      file: "\(folder)/Resources/\(name)", line: nil,
      problem: "not found in \(directories.map(\.path).joined(separator: " or "))",
      remedy: "copy the folder \(folder) of the build beside the executable")
  }
}
