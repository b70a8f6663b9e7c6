import Files
import TestSupport
import Testing

@Suite("Paths")
struct PathTests {
  @Test("Every path has a name and a parent, as the system interprets it")
  func parts() {
    for (path, parent, name) in [
      ("a/b/c", "a/b", "c"), ("c", ".", "c"), ("./c", ".", "c"), ("c/", ".", "c"), ("a//b//", "a", "b"),
      ("/c", "/", "c"),
      ("/", "/", "/"), ("//", "/", "/"), (".", ".", "."), ("..", ".", ".."), ("../c", "..", "c"), ("", ".", ""),
      ("läufe/ö", "läufe", "ö"), ("a/\u{301}b", "a", "\u{301}b"), ("a\nb/c d", "a\nb", "c d"),
    ] {
      #expect(Path(path).parent.text == parent, "\(path)")
      #expect(Path(path).name == name, "\(path)")
    }
  }

  @Test("No text traps")
  func anyText() {
    var generator = SystemRandomNumberGenerator()
    let parts = ["/", "/", ".", "..", "a", "", "é", "\u{301}", "🦔", "\0", "\n", "\\", "~", "%2F", ":"]
    for _ in 0..<5000 {
      let text = (0..<Int.random(in: 0...6, using: &generator)).map { _ in parts.randomElement(using: &generator) ?? ""
      }
      .joined()
      let path = Path(text)
      #expect(!path.parent.text.isEmpty)
      #expect(path.trimmed.text.utf8.count <= max(1, text.utf8.count))
      #expect(path.appending("x").name == "x")
      _ = (path.components, path.real, path.naming(3), path.problem)
    }
  }

  @Test("An invalid path has its problem in words")
  func problems() {
    #expect(Path("a/b").problem == nil)
    #expect(Path("").problem == "is empty")
    #expect(Path("a\0b").problem == "holds a NUL byte")
    #expect(Path(String(repeating: "a/", count: 2048)).problem?.contains("4096 bytes") == true)
    #expect(Path("x/" + String(repeating: "é", count: 128)).problem?.contains("256 bytes") == true)
  }

  @Test("A path with dots in its last components is resolved")
  func naming() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("runs/a/checkpoints/step-1")
    let path = Path(folder.path("runs/a/checkpoints/../checkpoints/step-1/."))
    let named = try #require(path.naming(3))
    #expect(named.name == "step-1" && named.parent.name == "checkpoints" && named.parent.parent.name == "a")
    #expect(Path("x/y/z/").naming(3)?.text == "x/y/z")
    #expect(Path("/nonexistent/../z").naming(3) == nil)
  }
}
