import Foundation
import TestSupport

/// A copy of a golden case that a test may damage.
struct GoldenCopy {
  let folder: TemporaryFolder
  let name: String

  init(_ name: String) throws {
    folder = try TemporaryFolder()
    self.name = name
    for part in ["json", "weights.safetensors", "expected.safetensors"] {
      _ = try folder.write("\(name).\(part)", Fixtures.data("golden/\(name).\(part)"))
    }
  }

  /// The case's `.json`.
  var path: String { folder.path("\(name).json") }

  /// The URL of `json`, `weights.safetensors` or `expected.safetensors`.
  func url(_ part: String) -> URL { folder.url.appendingPathComponent("\(name).\(part)") }

  func change(_ part: String, _ body: (inout Data) throws -> Void) throws {
    var data = try Data(contentsOf: url(part))
    try body(&data)
    try data.write(to: url(part))
  }

  /// Sets the first element of a tensor to `value`.
  func change(_ part: String, tensor: String, to value: Float) throws {
    guard let start = try SafetensorsContent(url(part)).starts[tensor] else {
      throw Program.Failure(description: "\(part) has no tensor \(tensor)")
    }
    try change(part) { data in
      withUnsafeBytes(of: value) { data.replaceSubrange(start..<start + 4, with: $0) }
    }
  }

  func run() throws -> Program.Outcome { try Program.run("debug", "compare", "--case", path) }
}
