import Foundation
import TestSupport
import Testing

/// Files that killed jobs leave on a machine.
@Suite("Leftovers", .serialized)
struct LeftoverTests {
  /// Runs a command line under mpirun, with `folder` for temporary files.
  private func launch(_ folder: TemporaryFolder, _ command: [String]) throws -> Program.Outcome {
    try Program.execute(
      ["/usr/bin/env", "TMPDIR=\(folder.url.path)", "mpirun", "--oversubscribe", "-n", "1"] + command, seconds: 120)
  }

  @Test("The next start removes the files that Open MPI left of dead jobs of this program, and no others")
  func deadJob() throws {
    let folder = try TemporaryFolder()
    let shown = try launch(folder, ["sh", "-c", "echo $OMPI_MCA_orte_top_session_dir"])
    let top = URL(fileURLWithPath: shown.output.trimmingCharacters(in: .whitespacesAndNewlines))
    try #require(top.lastPathComponent.hasPrefix("ompi."), "\(shown.output)\(shown.errors)")
    // No process has such a high id; the process of this test is alive.
    let (dead, living, other) = ("pid.99999999", "pid.\(getpid())", "pid.99999998")
    for (name, job) in [(dead, "4275878552"), (living, "4275878553"), (other, nil)] {
      let session = top.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: session.appendingPathComponent("1/0"), withIntermediateDirectories: true)
      try Data("x".utf8).write(to: session.appendingPathComponent("1/0/hwloc.sm"))
      if let job { try Data("\(job)\n".utf8).write(to: session.appendingPathComponent("quillan")) }
    }
    let outside = try folder.write("outside", Data("thesis".utf8))
    try FileManager.default.createSymbolicLink(
      at: top.appendingPathComponent("\(dead)/link"), withDestinationURL: URL(fileURLWithPath: outside))
    let stem = "/dev/shm/vader_segment.\(top.lastPathComponent.dropFirst("ompi.".count))"
    let segments = ["\(stem).fedcba98.0", "\(stem).fedcba98.1", "\(stem).fedcba99.0"]
    for segment in segments { try Data("x".utf8).write(to: URL(fileURLWithPath: segment)) }
    defer { for segment in segments { try? FileManager.default.removeItem(atPath: segment) } }
    let outcome = try launch(
      folder, [Program.path, "debug", "compare", "--case", Fixtures.url("golden/fp32.json").path])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(segments.map { FileManager.default.fileExists(atPath: $0) } == [false, false, true])
    #expect(try FileManager.default.contentsOfDirectory(atPath: top.path).sorted() == [living, other].sorted())
    #expect(try folder.text("outside") == "thesis")
  }
}
