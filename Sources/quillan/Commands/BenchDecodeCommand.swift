import ArgumentParser
import Diagnostics
import Errors
import Learning
import Telemetry

/// `quillan bench decode`.
struct BenchDecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Time sampling from a model with initial weights, for several batch sizes.",
    discussion: """
      Prefill is excluded: the time is the difference between sampling many tokens and sampling one. Latents are \
      sampled as in a rollout.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(
    name: .customLong("batch"), parsing: .singleValue,
    help: ArgumentHelp("Number of sequences decoded together. Repeatable (default: 1, 4, 16).", valueName: "n"))
  var batches: [Int] = []

  @Option(help: ArgumentHelp("Tokens of each prompt.", valueName: "n"))
  var promptLength = 32

  @Option(help: ArgumentHelp("Tokens sampled per sequence.", valueName: "n"))
  var tokens = 32

  @Option(help: ArgumentHelp("Number of repetitions, of which the median is reported.", valueName: "n"))
  var rounds = 3

  @OptionGroup var report: BenchReport

  func validate() throws {
    for (name, values) in [
      ("batch", batches), ("prompt-length", [promptLength]), ("tokens", [tokens]), ("rounds", [rounds]),
    ] {
      for value in values where !(1...65536).contains(value) {
        throw ValidationError("--\(name) must be from 1 to 65536, got \(value)")
      }
    }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let baseline = try report.baselineSeconds()
      let configuration = try options.load()
      guard communicator.size == 1 else {
        throw CommandError(.usage, "bench decode measures a single rank", remedy: "start it without mpirun")
      }
      guard promptLength + tokens + 1 <= configuration.model.maxSeqLen else {
        throw CommandError(
          .usage,
          "\(promptLength) prompt tokens and \(tokens) sampled tokens exceed model.max_seq_len "
            + "\(configuration.model.maxSeqLen)", remedy: "lower --prompt-length or --tokens")
      }
      let threads = try communicator.threads(configured: configuration.parallel.threads)
      let benchmark = try ModelBenchmark(configuration, threads: threads, communicator: communicator)
      let rows = try benchmark.decode(
        batches: batches.isEmpty ? [1, 4, 16] : batches, promptLength: promptLength, newTokens: tokens, rounds: rounds)
      try report.write(
        rows,
        about:
          "\(options.config), \(FigureText.count(tokens, "token")) after \(promptLength), "
          + "\(FigureText.count(threads, "thread"))",
        extra: [
          "threads": .integer(threads), "peak_bytes": .integer(ProcessMemory.peakBytes ?? 0),
          "prompt_length": .integer(promptLength), "tokens": .integer(tokens),
          "configuration": .text(configuration.yaml()),
        ],
        baseline: baseline)
      return .done
    }
  }
}
