import ArgumentParser
import Diagnostics
import Errors
import Tensors

/// `quillan bench memory`.
struct BenchMemoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Compare the optimizer, packing and gradient sums with a loop that only reads.",
    discussion: """
      Each pass processes 64 MiB of fp32 values. Samples alternate; times are medians. 'of limit' is the rate relative \
      to the reading loop on the same threads; passes that also write may exceed 100 %.
      """)

  @Option(help: ArgumentHelp("Approximate duration of each comparison.", valueName: "seconds"))
  var seconds = 0.5

  @Option(help: ArgumentHelp("Threads (default: all cores).", valueName: "n"))
  var threads: Int?

  @OptionGroup var report: BenchReport

  func validate() throws {
    if !(0.001...60).contains(seconds) { throw ValidationError("--seconds must be from 0.001 to 60, got \(seconds)") }
    if let threads, !(1...4096).contains(threads) {
      throw ValidationError("--threads must be from 1 to 4096, got \(threads)")
    }
  }

  func run() throws {
    let baseline = try report.baselineSeconds()
    let threads = threads ?? UsableCores.current.count
    let rows = MemoryBenchmark.measure(seconds: seconds, threads: threads)
    try report.write(
      rows, about: "passes over 64 MiB, \(FigureText.count(threads, "thread"))", extra: ["threads": .integer(threads)],
      baseline: baseline)
  }
}
