import ArgumentParser
import Formats
import Foundation
import MPI
import Diagnostics
import Errors
import Reports
import Rollouts

/// `quillan bench parallel`.
struct BenchParallelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parallel",
    abstract: "Compare training steps of all ranks together with the same step of one rank (weak scaling).",
    discussion: """
      Start it under mpirun, for example 'mpirun -n 2 quillan bench parallel --config configs/quillan-511m.yaml --set \
      parallel.expert=2'. Every rank trains on the same number of random tokens, on one thread unless \
      parallel.threads is set. 'weak scaling' is the number of ranks times the time of a single rank, divided by the \
      time of all ranks together: the number of ranks if communication takes no time.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Tokens per rank in a step.", valueName: "n"))
  var tokens = 2048

  @Option(help: ArgumentHelp("Number of timed steps, of which the median is reported.", valueName: "n"))
  var steps = 3

  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  func validate() throws {
    if !(2...1_048_576).contains(tokens) { throw ValidationError("--tokens must be from 2 to 1048576, got \(tokens)") }
    if !(1...1000).contains(steps) { throw ValidationError("--steps must be from 1 to 1000, got \(steps)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let loaded = try communicator.agree {
        let loaded = try options.load()
        try loaded.validate(file: options.config)
        try loaded.parallel.validate(
          file: options.config, ranks: communicator.size, miniMoEs: loaded.model.numMiniMoes)
        return loaded
      }
      let result = try ParallelBenchmark(
        loaded, threads: max(1, loaded.parallel.threads), tokens: tokens, steps: steps, communicator: communicator
      ).measure()
      try communicator.agree {
        if communicator.rank == 0 { try StandardOutput.write(json ? Self.json(result) : Self.text(result)) }
      }
      return .done
    }
  }

  private static func text(_ result: ParallelBenchmark.Result) -> String {
    var table = Table(["measure", "value"], alignments: [.left, .right])
    let tokens = Double(max(1, result.ranks * result.tokensPerRank))
    table.add(["step of a single rank", "\(FigureText.fixed(result.aloneSeconds, 3)) s"])
    table.add(["step of all ranks", "\(FigureText.fixed(result.togetherSeconds, 3)) s"])
    table.add(["weak scaling", FigureText.fixed(result.scaling, 2)])
    table.add(["share of the step in communication", FigureText.fixed(result.waitingShare, 3)])
    table.add(["exchange of rows", "\(FigureText.fixed(result.exchangeSeconds, 3)) s"])
    table.add(["reduction of gradients", "\(FigureText.fixed(result.reductionSeconds, 3)) s"])
    table.add(["bytes exchanged per token", FigureText.fixed(Double(result.exchangedBytes) / tokens, 0)])
    table.add(["minimum bytes per token", FigureText.fixed(Double(result.minimumBytes) / tokens, 0)])
    return "\(FigureText.count(result.ranks, "rank")), parallel.expert \(result.expert), "
      + "\(FigureText.count(result.tokensPerRank, "token")) and \(FigureText.count(result.threads, "thread")) per rank"
      + "\n\n\(table.text)"
  }

  private static func json(_ result: ParallelBenchmark.Result) -> String {
    JSONValue.object([
      "ranks": .integer(result.ranks), "expert": .integer(result.expert), "threads": .integer(result.threads),
      "tokens_per_rank": .integer(result.tokensPerRank), "alone_seconds": .number(result.aloneSeconds),
      "together_seconds": .number(result.togetherSeconds), "scaling": .number(result.scaling),
      "communication_share": .number(result.waitingShare), "exchange_seconds": .number(result.exchangeSeconds),
      "reduction_seconds": .number(result.reductionSeconds), "exchanged_bytes": .integer(result.exchangedBytes),
      "least_bytes": .integer(result.minimumBytes),
    ]).serialized + "\n"
  }
}
