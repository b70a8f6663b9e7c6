import ArgumentParser
import Configuration
import Diagnostics
import Exports
import Foundation
import Models
import Parallelism
import Reports
import Tensors

/// `quillan debug compare`: recomputes a golden case and prints the error of every tensor.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Recompute a golden case and print the error of each tensor.",
    discussion: """
      Reads NAME.json, NAME.weights.safetensors and NAME.expected.safetensors. Exit code 0 if every tensor is within \
      its tolerance, otherwise 1. Under mpirun every rank computes, with --set parallel.expert=P each mini-MoE on its \
      owner, and rank 0 prints.
      """)

  @Option(name: .customLong("case"), help: ArgumentHelp("Path of the golden case.", valueName: "NAME.json"))
  var path: String

  @Option(
    help: ArgumentHelp(
      "Write the computed tensors here, named as in NAME.expected.safetensors.", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Threads per rank (parallel.threads).", valueName: "n"))
  var threads: Int?

  @OptionGroup var overrides: OverrideOptions

  func validate() throws {
    try PathCheck.validate(["--case": path, "--output": output])
    if replacing.force, output == nil { throw ValidationError("--force goes with --output") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, got \(threads)") }
  }

  func run() throws {
    CommandRunner.onRanks { communicator in
      let (golden, settings) = try communicator.agree {
        if communicator.rank == 0 { try replacing.check(output) }
        let golden = try readCase()
        return (golden, try parallelSettings(golden, ranks: communicator.size))
      }
      let threads = try communicator.threads(configured: self.threads ?? settings.threads)
      let topology = try Topology(world: communicator, expert: settings.expert, miniMoEs: golden.model.numMiniMoes)
      let outcome = Result { try compare(golden, topology, threads: threads) }
      let comparison = try communicator.agree { try outcome.get() }
      try communicator.agree {
        if communicator.rank == 0 { try publish(comparison) }
      }
      return comparison.passed ? .done : .failed
    }
  }

  private func publish(_ comparison: GoldenComparison) throws {
    if let output {
      try SafetensorsWriter.write(path: output, tensors: Array(comparison.results.values), policy: replacing.policy)
    }
    try StandardOutput.write(Self.report(comparison))
  }

  /// The `parallel` section with the overrides, checked against the case, which fixes all other sections.
  private func parallelSettings(_ golden: GoldenCase, ranks: Int) throws -> ParallelConfiguration {
    for override in overrides.set where !override.hasPrefix("parallel.") {
      throw ConfigurationError(
        ConfigurationLocation(source: "--set \(override)"),
        "the case fixes all other sections; set only keys of 'parallel'")
    }
    let model = golden.model
    let council = "model: {num_mini_moes: \(model.numMiniMoes), mini_moe_top_k: \(model.miniMoeTopK)}"
    let settings = try RunConfiguration.parse(yaml: council, file: path, overrides: overrides.set).parallel
    try settings.validate(
      file: "--set parallel.expert=\(settings.expert)", ranks: ranks, miniMoEs: model.numMiniMoes)
    return settings
  }

  private func compare(_ golden: GoldenCase, _ topology: Topology, threads: Int) throws -> GoldenComparison {
    do {
      return try GoldenComparison(golden, topology, Context(threads: threads))
    } catch let issue as ConfigurationIssue {
      throw CommandError(.data, at: path, "\(issue)", remedy: "correct the model of the case")
    }
  }

  private func readCase() throws -> GoldenCase {
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw CommandError(.failure, at: path, "cannot be read", remedy: "give the path of a case's NAME.json")
    }
    return try GoldenCase(path: path)
  }

  /// A table of failures, then of the other tensors, each with the largest errors first, and a closing line.
  static func report(_ comparison: GoldenComparison) -> String {
    let rows = comparison.rows.sorted { left, right in
      if left.passed != right.passed { return !left.passed }
      return share(left) != share(right) ? share(left) > share(right) : left.name < right.name
    }
    var table = Table(
      ["tensor", "measure", "error", "tolerance", "ok"], alignments: [.left, .left, .right, .right, .left])
    for row in rows {
      table.add([row.name, row.measure, figure(row.error), figure(row.tolerance), row.passed ? "yes" : "NO"])
    }
    let failures = rows.filter { !$0.passed }
    let verdict =
      failures.isEmpty
      ? "all \(rows.count) within tolerance"
      : "\(failures.count) of \(rows.count) outside tolerance, worst: \(failures[0].name)"
    return "\(table.text)\n\(verdict)\n"
  }

  /// The error relative to its tolerance.
  private static func share(_ row: GoldenComparison.Row) -> Double {
    row.tolerance > 0 ? row.error / row.tolerance : row.error
  }

  private static func figure(_ value: Double) -> String {
    value == 0 || value.isInfinite ? (value == 0 ? "0" : "inf") : String(format: "%.1e", value)
  }
}
