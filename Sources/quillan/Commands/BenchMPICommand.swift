import ArgumentParser
import Errors
import Formats
import Foundation
import MPI
import Reports
import Rollouts

/// `quillan bench mpi`.
struct BenchMPICommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mpi",
    abstract: "Compare all-reduce sums through this program's MPI wrapper with the same calls from C.",
    discussion: """
      Start it under mpirun, for example 'mpirun -n 2 quillan bench mpi'. Samples alternate; times are medians. \
      'wrapper/C' is the median ratio of neighbouring samples: 1 if the wrapper adds no time.
      """)

  @Option(help: ArgumentHelp("Approximate duration of the measurement of each message size.", valueName: "seconds"))
  var seconds = 1.0

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  func validate() throws {
    if !(0.001...60).contains(seconds) { throw ValidationError("--seconds must be from 0.001 to 60, got \(seconds)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let rows = try AllReduceBenchmark.measure(communicator, seconds: seconds)
      try communicator.agree {
        guard communicator.rank == 0 else { return }
        try StandardOutput.write(json ? Self.json(rows, communicator.size) : Self.text(rows, communicator.size))
      }
      return .done
    }
  }

  private static func text(_ rows: [AllReduceBenchmark.Row], _ ranks: Int) -> String {
    var table = Table(["message", "wrapper", "C", "wrapper/C", "GB/s"])
    for row in rows {
      table.add([
        FigureText.bytes(row.bytes), "\(FigureText.fixed(row.wrapperSeconds * 1e6, 2)) µs",
        "\(FigureText.fixed(row.cSeconds * 1e6, 2)) µs", FigureText.fixed(row.ratio, 3),
        FigureText.fixed(row.gigabytesPerSecond, 2),
      ])
    }
    return "all-reduce of fp32 sums, \(FigureText.count(ranks, "rank")), \(Environment.libraryVersion)\n\n\(table.text)"
  }

  private static func json(_ rows: [AllReduceBenchmark.Row], _ ranks: Int) -> String {
    let list = rows.map { row in
      JSONValue.object([
        "bytes": .integer(row.bytes), "wrapper_seconds": .number(row.wrapperSeconds),
        "c_seconds": .number(row.cSeconds), "ratio": .number(row.ratio),
      ])
    }
    let members: [String: JSONValue] = [
      "ranks": .integer(ranks), "library": .text(Environment.libraryVersion), "rows": .list(list),
    ]
    return JSONValue.object(members).serialized + "\n"
  }
}
