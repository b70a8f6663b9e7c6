import ArgumentParser
import Diagnostics
import Errors
import Learning
import Optimizers
import Telemetry

/// `quillan bench train-step`.
struct BenchTrainStepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train-step",
    abstract: "Time optimizer steps of a model with initial weights on random trajectories.",
    discussion: """
      A step consists of forward, objective, backward, reduction over the ranks, AdamW and packing. The first step is \
      not counted. Under mpirun the ranks share the tokens.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Tokens per step, over all ranks.", valueName: "n"))
  var tokens = 2048

  @Option(help: ArgumentHelp("Tokens per trajectory, including its prompt.", valueName: "n"))
  var sequenceLength = 128

  @Option(help: ArgumentHelp("Number of timed steps, of which the median is reported.", valueName: "n"))
  var steps = 3

  @OptionGroup var report: BenchReport

  func validate() throws {
    for (name, value) in [("tokens", tokens), ("sequence-length", sequenceLength), ("steps", steps)]
    where !(1...16_777_216).contains(value) {
      throw ValidationError("--\(name) must be from 1 to 16777216, got \(value)")
    }
    if sequenceLength < 2 { throw ValidationError("--sequence-length must be 2 or more, got \(sequenceLength)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let (baseline, configuration) = try communicator.agree {
        (try report.baselineSeconds(), try options.load())
      }
      guard sequenceLength <= configuration.model.maxSeqLen else {
        throw CommandError(
          .usage, "--sequence-length \(sequenceLength) exceeds model.max_seq_len \(configuration.model.maxSeqLen)",
          remedy: "lower it")
      }
      let threads = try communicator.threads(configured: configuration.parallel.threads)
      let benchmark = try ModelBenchmark(configuration, threads: threads, communicator: communicator)
      let rows = try benchmark.trainingStep(tokens: tokens, sequenceLength: sequenceLength, steps: steps)
      let peaks = try communicator.allReduce([Int64(ProcessMemory.peakBytes ?? 0)], .maximum)
      try communicator.agree {
        guard communicator.rank == 0 else { return }
        try report.write(
          rows,
          about:
            "\(options.config), \(FigureText.count(communicator.size, "rank")) with "
            + "\(FigureText.count(threads, "thread")) each, peak memory of a rank \(FigureText.bytes(Int(peaks[0])))",
          extra: [
            "ranks": .integer(communicator.size), "threads": .integer(threads), "peak_bytes": .integer(Int(peaks[0])),
            "tokens": .integer(Int(rows[0].work)), "sequence_length": .integer(sequenceLength),
            "configuration": .text(configuration.yaml()),
          ],
          baseline: baseline)
      }
      return .done
    }
  }
}
