import ArgumentParser
import Foundation
import Tensors
import Training

/// `quillan bench memory`.
struct BenchMemoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Time optimizer, packing and sums of gradients against a loop that reads.",
    discussion: """
      Over 64 MiB of fp32 values, in alternating samples; medians. 'of limit' is the rate over that of the reading \
      loop on the same threads: passes that also write may exceed 100 %.
      """)

  @Option(help: ArgumentHelp("About how long each comparison lasts.", valueName: "seconds"))
  var seconds = 0.5

  @Option(help: ArgumentHelp("Threads (default: the cores).", valueName: "n"))
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
