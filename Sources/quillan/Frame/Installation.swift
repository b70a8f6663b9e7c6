import Foundation

/// The launch scripts and recipes that belong to this program.
struct Installation: Equatable {
  /// The folder that holds `launch` and `configs`.
  let folder: String

  /// Where packages put the folder, below the prefix of `lib/quillan/quillan`.
  private static let packaged = "share/quillan"
  /// The farthest folder is that of a build: `.build/x86_64-unknown-linux-gnu/release` of the repository.
  private static let levels = 5

  /// The path of the running program, without symbolic links.
  static var program: String {
    let path = Bundle.main.executablePath ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: path).resolvingSymlinksInPath().path
  }

  /// Looks in the folders above the program: the prefix of a package, or the repository of a build.
  ///
  /// - Throws: `CommandError` if the scripts are in none of them.
  init(of program: String = Self.program) throws(CommandError) {
    var parent = URL(fileURLWithPath: program).deletingLastPathComponent()
    for _ in 0..<Self.levels {
      for candidate in [parent.appendingPathComponent(Self.packaged).path, parent.path]
      where FileManager.default.fileExists(atPath: "\(candidate)/launch/both-phases") {
        folder = candidate
        return
      }
      parent.deleteLastPathComponent()
    }
    throw CommandError(
      .failure, at: program, "its launch scripts and recipes were not found (../../\(Self.packaged))",
      remedy: "install the whole package, or run launch/quickstart in the repository")
  }
}
