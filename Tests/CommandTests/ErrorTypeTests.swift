import Errors
import Foundation
import Testing
import TestSupport

@Suite("Error types") struct ErrorTypeTests {
  /// Errors that a caller always catches, so that they cannot end the program.
  private static let caught: Set<String> = [
    // Thrown and caught by the readers of the file formats, which add the path.
    "FrameDecoder.Fault", "SafetensorsJSON.Fault", "JSONSyntaxError", "FileFault",
    // Part of the error that reports it.
    "ReplicaError.Fault", "PatternError", "PromptTemplateError",
    // A reward's command or pattern that exceeds its limits leaves a completion unscored.
    "ChildProcess.Failure", "PatternMatcher.LimitExceeded",
    // An exit code, which ends the program without a message.
    "ExitStatus", "StopSignal.CutShort",
  ]

  private static let sources = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources")

  /// Adds the types in a source text that conform to an error protocol, with the protocols in their declarations.
  private static func add(_ text: String, to types: inout [String: Set<String>]) {
    let declaration =
      /^( *)(?:[a-z]+ )*(struct|enum|class|actor|extension) ([\w.]+)(?:<[^>]*>)?(?:: ([^{]+?))? *(?:\{.*)?$/
    // The declarations around a line, by their indentation.
    var outer: [(indent: Int, name: String)] = []
    for line in text.split(separator: "\n") {
      guard let match = line.firstMatch(of: declaration) else { continue }
      outer.removeAll { $0.indent >= match.1.count }
      outer.append((match.1.count, String(match.3)))
      let protocols = (match.4 ?? "").split { $0 == "," || $0 == " " || $0 == "&" }.map(String.init)
      if protocols.contains(where: { ["Error", "LocalizedError", "QuillanError"].contains($0) }) {
        types[outer.map(\.name).joined(separator: "."), default: []].formUnion(protocols)
      }
    }
  }

  /// The types that could end the program with exit code 1 by default.
  private static func unstated(_ types: [String: Set<String>]) -> [String] {
    types.filter { !$1.contains("QuillanError") && !caught.contains($0) }.keys.sorted()
  }

  @Test("Every error type that can end the program states its exit code")
  func conformances() throws {
    var types: [String: Set<String>] = [:]
    let files = try FileManager.default.subpathsOfDirectory(atPath: Self.sources.path)
    for file in files where file.hasSuffix(".swift") {
      Self.add(try String(contentsOf: Self.sources.appendingPathComponent(file), encoding: .utf8), to: &types)
    }
    // Types that the search must find: of the program, of modules, and nested.
    for name in ["CommandError", "TrainingError", "CheckpointError", "FrameDecoder.Fault"] {
      #expect(types[name] != nil, "\(name)")
    }
    let unstated = Self.unstated(types)
    #expect(unstated.isEmpty, "\(unstated) must conform to QuillanError, or be caught by every caller and listed here")
  }

  @Test("An error type that states no exit code is found")
  func detection() {
    var types: [String: Set<String>] = [:]
    Self.add(
      """
      public struct StatedError: Error, Sendable {
        enum Kind: Equatable { case one }
        public enum Fault: Int, Error { case one }
      }
      extension StatedError: QuillanError {}
      final class ClassError: LocalizedError {}
      struct Plain: Sendable {}
      """, to: &types)
    #expect(Self.unstated(types) == ["ClassError", "StatedError.Fault"])
  }
}
