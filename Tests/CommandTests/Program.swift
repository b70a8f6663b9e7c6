import Foundation

/// Runs the built program as a separate process with a time limit.
enum Program {
  /// How a process ended and what it wrote.
  struct Outcome {
    let status: Int32
    let output: String
    let errors: String

    /// The lines on stderr that this program wrote; mpirun adds others.
    var messages: [String] {
      errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("quillan: ") }
    }
  }

  /// Why a process gave no outcome.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The executable beside the test bundle.
  static var path: String {
    get throws {
      let folders = [CommandLine.arguments[0], Bundle.main.bundlePath, Bundle.main.executablePath ?? ""].flatMap {
        let url = URL(fileURLWithPath: $0)
        return [url, url.deletingLastPathComponent()]
      }
      for folder in folders {
        let candidate = folder.appendingPathComponent("quillan").path
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory)
        if exists, !isDirectory.boolValue, FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      }
      throw Failure(description: "no executable 'quillan' in \(folders.map(\.path))")
    }
  }

  /// Runs the program with `arguments`.
  static func run(_ arguments: String..., seconds: Double = 60) throws -> Outcome {
    try execute([path] + arguments, seconds: seconds)
  }

  /// Runs the program on `ranks` ranks.
  static func run(ranks: Int, _ arguments: String..., seconds: Double = 120) throws -> Outcome {
    let launcher = ["/usr/bin/env", "mpirun", "--oversubscribe", "-n", "\(ranks)"]
    return try execute(launcher + [path] + arguments, seconds: seconds)
  }

  /// The environment of the processes.
  static var environment: [String: String] {
    // Another suite may have started MPI in this process, whose environment variables would confuse mpirun.
    let inherited = ProcessInfo.processInfo.environment.filter { name, _ in
      !["OMPI_", "PMIX_", "ORTE_", "PMI_"].contains(where: name.hasPrefix)
    }
    return inherited.merging([
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
      "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_mpi_yield_when_idle": "1",
    ]) { $1 }
  }

  /// Runs a command line. A process that exceeds the time limit is killed, and `Failure` is thrown.
  static func execute(_ command: [String], seconds: Double = 60) throws -> Outcome {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = environment
    // Files instead of pipes, so that the process never blocks on output.
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try folder.handle("output")
    process.standardError = try folder.handle("errors")
    try process.run()
    let deadline = Date().addingTimeInterval(seconds)
    while process.isRunning, Date() < deadline { usleep(5000) }
    guard !process.isRunning else {
      kill(process.processIdentifier, SIGKILL)
      throw Failure(description: "still running after \(seconds) s: \(command.joined(separator: " "))")
    }
    return Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
      output: try folder.text("output"), errors: try folder.text("errors"))
  }
}
