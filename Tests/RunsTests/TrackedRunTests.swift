import Foundation
import MPI
import Testing
import Training
import TrainingSupport

/// Runs whose metrics a program reads (`logging.command`).
@Suite(.serialized) struct TrackedRunTests {
  private static let script = """
    echo "$QUILLAN_RUN $QUILLAN_STEP $QUILLAN_PHASE ${OMPI_COMM_WORLD_RANK-none}" >>"$QUILLAN_RUN_DIRECTORY/../sessions"
    exec cat >>"$QUILLAN_RUN_DIRECTORY/../lines"
    """

  private func run(_ folder: SharedFolder, steps: Int, _ command: [String], resume: ResumeChoice? = nil) throws {
    try TinyRun {
      $0.rl.numEpochs = steps
      $0.evaluation.count = 4
      $0.evaluation.every = 2
      $0.checkpoint.every = 1
      $0.logging.directory = folder.path
      $0.logging.command = command
    }.execute(Ranks.alone(), name: "run", resume: resume)
  }

  @Test("A program gets the lines of metrics.jsonl without the header, and again from the next step after a resume")
  func resumed() throws {
    let folder = try SharedFolder(Ranks.alone())
    let command = ["sh", "-c", Self.script]
    try run(folder, steps: 2, command)
    try run(folder, steps: 4, command, resume: .auto)
    #expect(
      try String(contentsOfFile: "\(folder.path)/sessions", encoding: .utf8) == "run 0 train none\nrun 2 train none\n")
    let metrics = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8)
    let lines = try String(contentsOfFile: "\(folder.path)/lines", encoding: .utf8)
    #expect(lines == metrics.split(separator: "\n").dropFirst().map { "\($0)\n" }.joined())
    #expect(lines.split(separator: "\n").count == 7)
  }

  @Test("A program that ends at once does not change the run")
  func death() throws {
    let folder = try SharedFolder(Ranks.alone())
    try run(folder, steps: 2, ["false"])
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/run/weights.safetensors"))
  }

  @Test("A program that does not exist is an error of the configuration, before the run has a directory")
  func missing() throws {
    let folder = try SharedFolder(Ranks.alone())
    let error = #expect(throws: TrainingError.self) { try run(folder, steps: 2, ["no-such-program-anywhere"]) }
    #expect(error?.kind == .configuration && error?.description.contains("'no-such-program-anywhere'") == true)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
  }
}
