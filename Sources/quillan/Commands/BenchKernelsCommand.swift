import ArgumentParser
import Formats
import Foundation
import Diagnostics
import Errors
import Reports
import Rollouts
import Tensors

/// `quillan bench kernels`.
struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Compare this program's kernels with oneDNN and OpenBLAS on one thread.",
    discussion: """
      Both sides get prepared activations and packed weights. Samples alternate; times are medians. 'speed' is above 1 \
      if this program is faster. Rows 'from memory' multiply one token by 96 MiB of packed weights; their reference is \
      a loop that reads as many bytes. 'bf16 in tiles' is the order of precision.bf16_sums tiles; 'by dot products' is \
      the order pairs by the processor's instruction, whose speed decides whether it is used. With --threads, more rows compare several threads with one.
      """)

  @Option(help: ArgumentHelp("Approximate duration of each comparison.", valueName: "seconds"))
  var seconds = 0.1

  @Option(help: ArgumentHelp("Number of threads to compare with one thread.", valueName: "n"))
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
      ["operation", "time", "rate", "reference", "reference rate", "speed"],
      alignments: [.left, .right, .right, .left, .right, .right])
    for row in rows {
      let unit = row.unit == "bytes" ? "GB/s" : "GOP/s"
      table.add([
        row.operation, "\(FigureText.fixed(row.seconds * 1e6, 1)) µs", "\(FigureText.fixed(row.rate, 1)) \(unit)",
        row.reference ?? "", row.referenceRate.map { "\(FigureText.fixed($0, 1)) \(unit)" } ?? "",
        row.speed.map { FigureText.fixed($0, 2) } ?? "",
      ])
    }
    return "instruction set: \(Kernels.name), one thread unless a row says otherwise\n\n\(table.text)"
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
