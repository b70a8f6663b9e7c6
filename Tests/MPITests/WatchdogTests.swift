import Foundation
import MPI
import Telemetry
import Testing

/// Ranks that wait for each other, as processes under mpirun.
extension MPITests.EndOfProcessTests {
  private static let directoryKey = "QUILLAN_TEST_DIRECTORY"

  /// The part of a rank in the tests below.
  static func playsHang(_ role: String, _ world: Communicator) throws -> Int32 {
    try RankWatch.start(world)
    try Watchdog.start(world, timeout: role == "suspended" ? 3 : 2)
    Watchdog.keepRecords(in: ProcessInfo.processInfo.environment[directoryKey] ?? ".")
    FlightRecorder.step = 41
    try FlightRecorder.phase("gradients") { try world.barrier() }
    switch role {
    case "late" where world.rank == world.size - 1:
      FlightRecorder.phase("sampling group", 812) { Thread.sleep(forTimeInterval: 50) }
    case "stopped" where world.rank == 0:
      // Time for rank 0's state to arrive.
      FlightRecorder.phase("rewards") { Thread.sleep(forTimeInterval: 1.5) }
      raise(SIGSTOP)
    case "suspended":
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "sleep 1; kill -STOP \(getpid()); sleep 5; kill -CONT \(getpid())"]
      try process.run()
      // Rank 1 arrives 2.5 s after the ranks continue: later than the old timeout, earlier than the new one.
      if world.rank == 1 { Thread.sleep(forTimeInterval: 8.5) }
    case "asked":
      FlightRecorder.phase("sampling group", 7 + world.rank) {
        Thread.sleep(forTimeInterval: 1.5)
        if world.rank == 1 { kill(getpid(), SIGQUIT) }
        Thread.sleep(forTimeInterval: 1.5)
      }
    default: break
    }
    try FlightRecorder.phase("layer", 2, "forward") { _ = try world.allReduce([1, 2, 3] as [Float], .sum) }
    return 0
  }

  private func hang(_ role: String, ranks: Int) throws -> (outcome: Outcome, directory: URL) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-hang-\(UUID().uuidString)")
    return (try start(ranks: ranks, role: role, setting: [Self.directoryKey: directory.path]), directory)
  }

  private func record(_ directory: URL, _ rank: Int) throws -> [String: Any] {
    let data = try Data(contentsOf: directory.appendingPathComponent("flight-rank-\(rank).json"))
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  @Test("A rank that does not arrive ends the run with one line and a record of every rank", .enabled(if: isAlone))
  func namesTheLate() throws {
    let (outcome, directory) = try hang("late", ranks: 3)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(outcome.status == 1)
    #expect(outcome.lines.count == 1)
    let line = try #require(outcome.lines.first)
    #expect(line.hasPrefix("quillan: rank 0: all-reduce layer 2 forward, step 41, has waited "))
    #expect(line.contains(" s; rank 2 has not arrived, last seen sampling group 812; "))
    #expect(line.contains("\(directory.path)/flight-rank-*.json") && line.contains("parallel.timeout (2 s)"))
    #expect(outcome.seconds < 20)
    for rank in 0..<3 {
      let record = try record(directory, rank)
      #expect(record["format"] as? String == "quillan-flight-record" && record["version"] as? Int == 1)
      #expect(record["rank"] as? Int == rank && record["ranks"] as? Int == 3 && record["step"] as? Int == 41)
      let open = try #require(record["under_way"] as? [[String: Any]])
      #expect(open.last?["kind"] as? String == (rank == 2 ? "phase" : "collective"))
      #expect(open.last?["label"] as? String == (rank == 2 ? "sampling group 812" : "layer 2 forward"))
      #expect(open.last?["end"] is NSNull)
      let events = try #require(record["events"] as? [[String: Any]])
      #expect(events.count == record["recorded"] as? Int)
      let last = try #require(events.last { $0["kind"] as? String == "collective" })
      #expect(last["operation"] as? String == "barrier" && last["label"] as? String == "gradients")
      #expect((last["site"] as? String)?.hasPrefix("MPITests/WatchdogTests.swift:") == true)
    }
  }

  @Test("If rank 0 is stopped, another rank reports it and all ranks end", .enabled(if: isAlone))
  func survivesWithoutRankZero() throws {
    let (outcome, directory) = try hang("stopped", ranks: 3)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(outcome.status == 1)
    #expect(outcome.lines.count == 1)
    #expect(outcome.lines.first?.contains("all-reduce layer 2 forward, step 41, has waited ") == true)
    #expect(outcome.lines.first?.contains("; rank 0 has been silent for ") == true)
    #expect(outcome.lines.first?.contains(" s, last seen ") == true)
    #expect(outcome.seconds < 25)
  }

  @Test("After a job was suspended as a whole, the timeout starts again", .enabled(if: isAlone))
  func goesOnAfterSuspension() throws {
    let (outcome, directory) = try hang("suspended", ranks: 2)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(outcome.status == 0)
    #expect(outcome.lines.isEmpty)
  }

  @Test("SIGQUIT to any rank prints the state of every rank, and the run continues", .enabled(if: isAlone))
  func answersQuestions() throws {
    let (outcome, directory) = try hang("asked", ranks: 3)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(outcome.status == 0)
    #expect(outcome.lines.count == 3)
    for (rank, line) in outcome.lines.enumerated() {
      #expect(line.hasPrefix("quillan: rank \(rank): sampling group \(7 + rank), for "))
      #expect(line.hasSuffix(" s, step 41"))
    }
  }
}
