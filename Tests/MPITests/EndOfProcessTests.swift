import Foundation
import MPI
import Testing

/// How a process leaves `Environment.run`: this test bundle is started again under mpirun, where the test
/// `playsItsRole` does what an environment variable says.
extension MPITests {
  @Suite(.serialized) struct EndOfProcessTests {
    static let roleKey = "QUILLAN_TEST_ROLE"
    private static var environment: [String: String] { ProcessInfo.processInfo.environment }
    /// Only a process that mpirun has not started may start mpirun.
    static var isAlone: Bool { environment["OMPI_COMM_WORLD_SIZE"] == nil }

    struct Trouble: Error, CustomStringConvertible {
      let description: String
    }

    @Test("This process plays the role that the environment names", .enabled(if: environment[roleKey] != nil))
    func playsItsRole() throws {
      let role = try #require(Self.environment[Self.roleKey])
      MPI.Environment.run { world in
        switch role {
        case "throw-on-rank-2":
          if world.rank == 2 { throw Trouble(description: "the disk is full\nfree some space") }
          try world.barrier()
          try world.barrier()
          return 0
        case "throw-in-flight":
          // Rank 2 throws with two requests in flight that cannot end, while the others wait for its message.
          if world.rank == 2 {
            let first = try world.iBarrier()
            let second = try world.iAllReduce(TransferBuffer<Float>(count: 1000), .sum)
            if world.size > 2 { throw Trouble(description: "the disk is full") }
            try first.wait()
            _ = try second.wait()
          }
          _ = try world.receive(Float.self, count: 1, from: 2, tag: 0)
          return 0
        case "mismatch":
          // Rank 0 sends more than fits in rank 1's buffer, so the error escapes only on rank 1.
          if world.rank == 0 { try world.send([1, 2, 3] as [Float], to: 1, tag: 0) }
          if world.rank == 1 { _ = try world.receive(Float.self, count: 2, from: 0, tag: 0) }
          try world.barrier()
          return 0
        case "late", "stopped", "asked", "suspended": return try Self.playsHang(role, world)
        default:
          return Int32(role) ?? 99
        }
      }
    }

    struct Outcome {
      let status: Int32
      /// The program's lines, without mpirun's.
      let lines: [String]
      let seconds: Double
    }

    func start(ranks: Int?, role: String, setting changes: [String: String] = [:]) throws -> Outcome {
      let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      let launcher = ranks.map { ["mpirun", "-n", "\($0)", "--oversubscribe"] } ?? []
      process.arguments =
        ["timeout", "60"] + launcher + [
          bundle, "--testing-library", "swift-testing", "--no-parallel", "--filter", "playsItsRole",
        ]
      var variables = Self.environment.filter { name, _ in
        name.hasPrefix("OMPI_MCA_btl") || name.hasPrefix("OMPI_ALLOW")
          || !(name.hasPrefix("OMPI") || name.hasPrefix("PMIX"))
      }
      variables.merge(["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", Self.roleKey: role]) { $1 }
      variables.merge(changes) { $1 }
      process.environment = variables
      let pipe = Pipe()
      process.standardError = pipe
      process.standardOutput = FileHandle.nullDevice
      process.standardInput = FileHandle.nullDevice
      let start = ContinuousClock.now
      try process.run()
      let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      let duration = ContinuousClock.now - start
      return Outcome(
        status: process.terminationStatus,
        lines: text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("quillan: ") },
        seconds: Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)
    }

    @Test(
      "An error that escapes on one of four ranks prints one line with the rank and ends all with code 1",
      .enabled(if: isAlone))
    func abortsTogether() throws {
      let outcome = try start(ranks: 4, role: "throw-on-rank-2")
      #expect(outcome.status == 1)
      #expect(outcome.lines == ["quillan: rank 2: the disk is full free some space"])
      #expect(outcome.seconds < 10)
    }

    @Test("An error that escapes ends all ranks even if requests in flight cannot end", .enabled(if: isAlone))
    func abortsWithRequestsInFlight() throws {
      let outcome = try start(ranks: 4, role: "throw-in-flight")
      #expect(outcome.status == 1)
      #expect(outcome.lines.last == "quillan: rank 2: the disk is full")
      #expect(outcome.lines.allSatisfy { $0.hasPrefix("quillan: rank 2: ") })
      #expect(outcome.seconds < 10)
    }

    @Test("An MPI error ends all ranks in the same way and names a remedy", .enabled(if: isAlone))
    func abortsOnMPIErrors() throws {
      let outcome = try start(ranks: 4, role: "mismatch")
      #expect(outcome.status == 1)
      #expect(outcome.lines.count == 1)
      #expect(outcome.lines.first?.hasPrefix("quillan: rank 1: MPI_Recv: MPI_ERR_TRUNCATE") == true)
    }

    @Test("A code that all ranks return is the exit code", .enabled(if: isAlone), arguments: [0, 1, 2, 3, 75])
    func passesCodes(code: Int32) throws {
      for ranks in [nil, 2] {
        let outcome = try start(ranks: ranks, role: "\(code)")
        #expect(outcome.status == code)
        #expect(outcome.lines.isEmpty)
      }
    }

    @Test("If Open MPI is not installed completely, one line says what to install", .enabled(if: isAlone))
    func reportsFailedStart() throws {
      let outcome = try start(ranks: nil, role: "0", setting: ["OPAL_PREFIX": "/nonexistent"])
      #expect(outcome.status == 1)
      #expect(outcome.lines.count == 1)
      #expect(outcome.lines.first?.contains("MPI could not start; install openmpi-bin") == true)
    }
  }
}
