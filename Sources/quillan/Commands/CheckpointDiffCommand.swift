import ArgumentParser
import Checkpoints
import Errors
import Reports
import Tensors

/// `quillan checkpoint diff`.
struct CheckpointDiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two checkpoints tensor by tensor.",
    discussion: """
      Prints "identical", or each tensor that differs with its largest difference. File layouts are ignored. Exit code \
      0 if all tensors are bit-identical, otherwise 1.
      """)

  @Argument(help: ArgumentHelp("The first checkpoint.", valueName: "A"))
  var left: String

  @Argument(help: ArgumentHelp("The second checkpoint.", valueName: "B"))
  var right: String

  @Option(help: ArgumentHelp("Threads (default: the machine's cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    try PathCheck.validate(["the path of A": left, "the path of B": right])
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, got \(threads)") }
  }

  func run() throws {
    let bar = ProgressBar("diff")
    defer { bar.finish() }
    let difference = try CheckpointDifference(
      CheckpointReader(CheckpointStore.checkpoint(at: left)), CheckpointReader(CheckpointStore.checkpoint(at: right)),
      threads: threads ?? UsableCores.current.count, progress: bar.show)
    bar.finish()
    if difference.isIdentical {
      return try StandardOutput.write("identical: \(FigureText.count(difference.tensors, "tensor"))\n")
    }
    var table = Table(["tensor", "elements that differ", "largest difference", "at element"])
    for row in difference.rows {
      table.add([
        row.key.description, row.problem ?? FigureText.grouped(row.count), row.largest.map { "\($0)" } ?? "",
        row.problem == nil ? "\(row.place)" : "",
      ])
    }
    try StandardOutput.write(
      "\(table.text)\n\(difference.rows.count) of \(FigureText.count(difference.tensors, "tensor")) differ\n")
    throw ExitStatus.failed
  }
}
