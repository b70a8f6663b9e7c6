import ArgumentParser
import Diagnostics
import MPI

/// `quillan debug environment`: what belongs in a bug report.
struct EnvironmentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "environment",
    abstract: "Describe the machine, its instruction sets and the libraries in use, for bug reports.")

  func run() throws {
    CommandRunner.onRanks { communicator in
      if communicator.rank == 0 {
        var rows = [("quillan", Quillan.version)]
        rows += MachineDescription.current.rows
        rows += [("MPI", Environment.libraryVersion), ("ranks", "\(communicator.size)")]
        let width = rows.map(\.0.count).max() ?? 0
        let lines = rows.map { name, value in
          let text = value.split(whereSeparator: \.isNewline).joined(separator: " ")
          return name + String(repeating: " ", count: width + 2 - name.count) + text + "\n"
        }
        try StandardOutput.write(lines.joined())
      }
      return .done
    }
  }
}
