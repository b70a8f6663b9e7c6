import Foundation
import Testing

/// Output files and streams, and the state that the process inherits from its caller.
@Suite("Outputs", .serialized)
struct OutputTests {
  /// Writes a .npy file of eight numbers.
  private func array(_ folder: TemporaryFolder) throws -> String {
    let header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }".padding(
        toLength: 117, withPad: " ", startingAt: 0) + "\n"
    var bytes = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
    for value in 0..<8 { withUnsafeBytes(of: Float(value)) { bytes += $0 } }
    return try folder.write("in.npy", Data(bytes))
  }

  @Test("An existing file is replaced only with --force; names of one letter or without a folder are valid")
  func existing() throws {
    let folder = try TemporaryFolder()
    let input = try array(folder)
    let program = try Program.path
    func encode(_ output: String, _ more: String = "") throws -> Program.Outcome {
      try Program.execute([
        "/bin/sh", "-c", "cd '\(folder.url.path)' && '\(program)' bits encode '\(input)' -o \(output) \(more)",
      ])
    }
    for name in ["n", "./m", "../\(folder.url.lastPathComponent)/k"] {
      #expect(try encode(name).status == 0, "\(name)")
    }
    let refused = try encode("n")
    #expect(refused.status == 1 && refused.messages.count == 1)
    #expect(refused.errors.contains("already exists") && refused.errors.contains("--force"))
    #expect(try encode("n", "--force").status == 0)
    for name in ["''", ".", "..", "/", "x/", "$(printf '%5000s' x | tr ' ' x)"] {
      let outcome = try encode(name)
      #expect([1, 2].contains(outcome.status) && outcome.messages.count == 1, "\(name): \(outcome.errors)")
    }
    #expect(try folder.names == ["in.npy", "k", "m", "n"])
  }

  @Test("Pipes and /dev/stdout get the same bytes as a file")
  func streams() throws {
    let folder = try TemporaryFolder()
    let input = try array(folder)
    let program = try Program.path
    let command = """
      cd '\(folder.url.path)' && '\(program)' bits encode '\(input)' -o file && mkfifo pipe && (cat pipe >read &) &&
      '\(program)' bits encode '\(input)' -o pipe && '\(program)' bits encode '\(input)' -o /dev/stdout >out &&
      '\(program)' bits encode '\(input)' -o /dev/null && sleep 0.2 && test -p pipe && test -c /dev/null
      """
    let outcome = try Program.execute(["/bin/sh", "-c", command])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let file = try Data(contentsOf: folder.url.appendingPathComponent("file"))
    #expect(try Data(contentsOf: folder.url.appendingPathComponent("read")) == file)
    #expect(try Data(contentsOf: folder.url.appendingPathComponent("out")) == file)
  }

  @Test("With closed standard streams, no output file takes their descriptors")
  func closedStreams() throws {
    let folder = try TemporaryFolder()
    let input = try array(folder)
    let program = try Program.path
    let outcome = try Program.execute([
      "/bin/sh", "-c",
      "'\(program)' bits encode '\(input)' -o '\(folder.path("a"))' && "
        + "'\(program)' bits encode '\(input)' -o '\(folder.path("b"))' <&- >&- 2>&-",
    ])
    #expect(outcome.status == 0)
    #expect(
      try Data(contentsOf: folder.url.appendingPathComponent("a"))
        == Data(contentsOf: folder.url.appendingPathComponent("b")))
  }

  @Test("A file beyond the file size limit gives one line and exit code 1")
  func fileSizeLimit() throws {
    let folder = try TemporaryFolder()
    let outcome = try Program.execute([
      "/bin/bash", "-c",
      "ulimit -f 1 && exec '\(try Program.path)' debug configuration --reference >'\(folder.path("out"))'",
    ])
    #expect(outcome.status == 1, "\(outcome.errors)")
    #expect(outcome.errors.contains("File too large"), "\(outcome.errors)")
  }

  @Test("Arguments that are not UTF-8 give one line and exit code 2")
  func encoding() throws {
    let outcome = try Program.execute(["/bin/bash", "-c", "exec '\(try Program.path)' plan --config $'a\\xff.yaml'"])
    #expect(outcome.status == 2 && outcome.messages.count == 1)
    #expect(outcome.errors.contains("not UTF-8"), "\(outcome.errors)")
  }

  @Test(
    "An invalid run name gives exit code 2 before anything is read, also with --resume",
    arguments: ["", ".", "..", "a/b", "../x", "a\n", String(repeating: "x", count: 300)])
  func names(name: String) throws {
    for more in [[], ["--resume", "auto"]] {
      let outcome = try Program.execute([Program.path, "train", "--config", "absent.yaml", "--name", name] + more)
      #expect(outcome.status == 2 && outcome.messages.count == 1, "\(outcome.errors)")
      #expect(outcome.errors.contains("--name"), "\(outcome.errors)")
    }
  }

  @Test(
    "An empty path gives exit code 2",
    arguments: [["train", "--config", ""], ["generate", ""], ["report", "x", "-o", ""]])
  func emptyPaths(arguments: [String]) throws {
    let outcome = try Program.execute([Program.path] + arguments)
    #expect(outcome.status == 2 && outcome.messages.count == 1, "\(outcome.errors)")
  }
}
