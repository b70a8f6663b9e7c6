import Foundation

/// Locates the data files under `Tests/Fixtures` of this checkout.
public enum Fixtures {
  public static let directory = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")

  /// The URL of a file under `Tests/Fixtures`, for example `golden/philox.json`.
  public static func url(_ path: String) -> URL { directory.appendingPathComponent(path) }

  public static func text(_ path: String) throws -> String { try String(contentsOf: url(path), encoding: .utf8) }

  public static func data(_ path: String) throws -> Data { try Data(contentsOf: url(path)) }
}
