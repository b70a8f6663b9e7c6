import ArgumentParser
import Diagnostics

/// `quillan bench attention`.
struct BenchAttentionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Time one head of causal attention, forward and backward, on one thread.",
    discussion: """
      The head has 64 features. 'of limit' is the rate relative to oneDNN's fp32 GEMM of 512×1024×512. Times are \
      medians.
      """)

  @Option(help: ArgumentHelp("Approximate duration of each measurement.", valueName: "seconds"))
  var seconds = 0.1

  @OptionGroup var report: BenchReport

  func validate() throws {
    if !(0.001...60).contains(seconds) { throw ValidationError("--seconds must be from 0.001 to 60, got \(seconds)") }
  }

  func run() throws {
    let baseline = try report.baselineSeconds()
    try report.write(
      AttentionBenchmark.measure(seconds: seconds), about: "attention, one thread", baseline: baseline)
  }
}
