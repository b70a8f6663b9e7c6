import ArgumentParser
import Checkpoints
import Errors
import Reports
import Rollouts
import Tensors

/// `quillan bench checkpoint`.
struct BenchCheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Compare checkpoint frames with plain zstd.",
    discussion: """
      The data are normally distributed fp32 masters, the same values in bf16, and their squares as second moments, or \
      the tensors of a checkpoint. Every thread compresses its own part. Each figure is the best of three passes.
      """)

  @Option(help: ArgumentHelp("Size of each kind of data.", valueName: "MB"))
  var megabytes = 64

  @Option(help: ArgumentHelp("Threads (default: the machine's cores).", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp("Measure the masters and second moments of this checkpoint.", valueName: "checkpoint"))
  var from: String?

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  func validate() throws {
    if !(1...4096 ~= megabytes) { throw ValidationError("--megabytes must be from 1 to 4096, got \(megabytes)") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, got \(threads)") }
  }

  func run() throws {
    let threads = threads ?? UsableCores.current.count
    let reader = try from.map { try CheckpointReader(CheckpointStore.checkpoint(at: $0)) }
    let rows = try FrameBenchmark.measure(bytes: megabytes << 20, threads: threads, from: reader)
    if json {
      let list = rows.map { row in
        JSONValue.object([
          "data": .text(row.data), "method": .text(row.method), "ratio": .number(row.ratio),
          "compress_bytes_per_second": .number(row.compression), "read_bytes_per_second": .number(row.decompression),
        ])
      }
      return try StandardOutput.write(
        JSONValue.object(["threads": .integer(threads), "rows": .list(list)]).serialized + "\n")
    }
    var table = Table(
      ["data", "method", "ratio", "write MB/s", "read MB/s"], alignments: [.left, .left, .right, .right, .right])
    for row in rows {
      table.add([
        row.data, row.method, FigureText.fixed(row.ratio, 3), FigureText.fixed(row.compression / 1e6, 0),
        FigureText.fixed(row.decompression / 1e6, 0),
      ])
    }
    try StandardOutput.write("\(FigureText.count(threads, "thread"))\n\n\(table.text)\n")
  }
}
