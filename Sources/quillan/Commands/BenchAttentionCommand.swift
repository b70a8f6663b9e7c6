import ArgumentParser
import Training

/// `quillan bench attention`.
struct BenchAttentionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Time causal attention of one head, forward and backward, on one thread.",
    discussion: "64 features. 'of limit' is the rate over that of oneDNN's fp32 product 512×1024×512; medians.")

  @Option(help: ArgumentHelp("About how long each measurement lasts.", valueName: "seconds"))
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
