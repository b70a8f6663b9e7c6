import Foundation

/// The files that come with this package, in `quillan_Rollouts.resources` beside the executable.
///
/// `Bundle.module` is not used because it ends the process where the folder is missing.
enum PackageResource {
  static func text(named name: String) throws(TokenizerError) -> String {
    let folder = "quillan_Rollouts.resources"
    let executable = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    let places = [Bundle.main.bundleURL, executable].compactMap { $0 }
    for place in places {
      let url = place.appendingPathComponent("\(folder)/Resources/\(name)")
      guard FileManager.default.fileExists(atPath: url.path) else { continue }
      do {
        return try TextFile.text(at: url)
      } catch {
        throw TokenizerError(file: error.file, line: error.line, problem: error.problem, remedy: error.remedy)
      }
    }
    throw TokenizerError(
      file: "\(folder)/Resources/\(name)", line: nil,
      problem: "not found in \(places.map(\.path).joined(separator: " or "))",
      remedy: "copy the folder \(folder) of the build beside the executable")
  }
}
