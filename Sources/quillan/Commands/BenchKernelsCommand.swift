import ArgumentParser
import Formats
import Foundation
import Tensors
import Training

/// `quillan bench kernels`.
struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Time this program's kernels on one thread against oneDNN and OpenBLAS.",
    discussion: """
      Both sides take prepared activations and packed weights, in alternating samples; medians. 'speed' is above 1 \
      where this program is faster. Rows 'from memory' are one token times 96 MiB of packed weights, against a loop \
      that reads as many bytes; with --threads more rows tell what so many threads gain over one.
      """)

  @Option(help: ArgumentHelp("About how long each comparison lasts.", valueName: "seconds"))
  var seconds = 0.1

  @Option(help: ArgumentHelp("Threads to compare with one.", valueName: "n"))
  var threads = 1

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  func validate() throws {
    if !(0.001...60).contains(seconds) { throw ValidationError("--seconds must be from 0.001 to 60, got \(seconds)") }
    if !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024, got \(threads)") }
  }

  func run() throws {
    let rows = KernelBenchmark.measure(seconds: seconds, threads: threads)
    try StandardOutput.write(json ? Self.json(rows) : Self.text(rows))
  }

  private static func text(_ rows: [KernelBenchmark.Row]) -> String {
    var table = Table(
      ["operation", "time", "rate", "reference", "its rate", "speed"],
      alignments: [.left, .right, .right, .left, .right, .right])
    for row in rows {
      let unit = row.unit == "bytes" ? "GB/s" : "GOP/s"
      table.add([
        row.operation, "\(FigureText.fixed(row.seconds * 1e6, 1)) µs", "\(FigureText.fixed(row.rate, 1)) \(unit)",
        row.reference ?? "", row.referenceRate.map { "\(FigureText.fixed($0, 1)) \(unit)" } ?? "",
        row.speed.map { FigureText.fixed($0, 2) } ?? "",
      ])
    }
    return "instruction set: \(Kernels.name), one thread unless said\n\n\(table.text)"
  }

  private static func json(_ rows: [KernelBenchmark.Row]) -> String {
    let list = rows.map { row in
      JSONValue.object([
        "operation": .text(row.operation), "seconds": .number(row.seconds), "work": .number(row.work),
        "unit": .text(row.unit), "reference": row.reference.map { .text($0) } ?? .null,
        "reference_seconds": row.referenceSeconds.map { .number($0) } ?? .null,
        "speed": row.speed.map { .number($0) } ?? .null,
      ])
    }
    return JSONValue.object(["instruction_set": .text(Kernels.name), "rows": .list(list)]).serialized + "\n"
  }
}
