import ArgumentParser
import Checkpoints
import Errors
import Tensors

/// `quillan checkpoint verify`.
struct CheckpointVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check a checkpoint: every hash, every frame, complete tensors, finite numbers.",
    discussion: "Exit code 0 if it is whole, 3 if it is damaged; the message names file, tensor and byte.")

  @Argument(help: ArgumentHelp("The checkpoint.", valueName: "checkpoint"))
  var path: String

  @Option(help: ArgumentHelp("Threads (default: the machine's cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    try PathCheck.validate(["the checkpoint's path": path])
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, got \(threads)") }
  }

  func run() throws {
    let bar = ProgressBar("verify")
    defer { bar.finish() }
    let reader = try CheckpointReader(CheckpointStore.checkpoint(at: path))
    let found = try CheckpointVerification(
      reader, threads: threads ?? UsableCores.current.count, progress: bar.show)
    bar.finish()
    try StandardOutput.write(
      "\(reader.path): whole; \(FigureText.count(found.tensors, "tensor")) in "
        + "\(FigureText.count(found.slices, "slice")), \(FigureText.grouped(found.bytes)) bytes stored in "
        + "\(FigureText.grouped(found.storedBytes))\n")
  }
}
