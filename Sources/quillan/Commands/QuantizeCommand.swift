import ArgumentParser
import Configuration
import Errors
import Exports
import Formats
import Foundation
import Reports
import Rollouts
import Runs
import Tensors

/// `quillan quantize`.
struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Pack weights into one file for generation.",
    discussion: """
      Number formats are those of the weights' configuration. --set precision.<component>=<format> packs in another \
      format and prints the error of every tensor. A model packed in its training formats computes the same bits as in \
      training. --layout mapped loads instantly but only with this program's kernels; compressed is smaller and \
      portable. A packed model as input is converted to the layout. --evaluate compares the configured and the packed \
      weights on the held-out data of the configuration.
      """)

  @OptionGroup var source: SourceOptions

  @Option(name: .shortAndLong, help: ArgumentHelp("The packed model to write.", valueName: "file"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("File layout: mapped or compressed.", valueName: "layout"))
  var layout = PackedFile.Layout.compressed

  @Flag(help: "Print the error of every tensor even if the formats are those of the configuration.")
  var errors = false

  @Option(
    help: ArgumentHelp(
      "Evaluate the configured and the packed weights on this many held-out prompts (and on all held-out text).",
      valueName: "n"))
  var evaluate: Int?

  @Flag(help: "Print one JSON object instead of tables.")
  var json = false

  func validate() throws {
    try PathCheck.validate(["--output": output])
    if let evaluate, evaluate < 1 { throw ValidationError("--evaluate must be 1 or more, got \(evaluate)") }
  }

  func run() throws {
    try replacing.check(output)
    let context = source.context()
    let opened = try source.open(context)
    let packed = try opened.packed(context)
    try PackedFileWriter.write(
      packed, configuration: opened.description.tree, metadata: ["quillan": Quillan.version], layout: layout,
      to: output, policy: replacing.policy, pool: context.pool)
    var report: QuantizationReport?
    if case .masters(let masters) = opened.weights,
      errors || opened.description.precision != opened.configured.precision
    {
      report = QuantizationReport(masters, packed, pool: context.pool)
    }
    let summary = Summary(
      path: output, layout: layout, bytes: OutputOptions.byteCount(output), source: opened, report: report)
    guard let evaluate else {
      try OutputOptions.say(json ? summary.json([]) : summary.text([]), besides: output)
      return
    }
    try compare(opened, count: evaluate, summary)
  }

  /// Evaluates the weights in both formats. Does not return: `CommandRunner.onRanks` ends the process.
  private func compare(_ opened: ModelSource, count: Int, _ summary: Summary) throws {
    guard case .masters = opened.weights, let (text, path) = opened.configuration else {
      throw CommandError(
        .usage, at: opened.path, "--evaluate needs fp32 weights and the configuration of their run",
        remedy: "give the directory of a run")
    }
    let file = try RunConfiguration.parse(yaml: text, file: path)
    var changed = file
    changed.model = opened.description.model
    changed.precision = opened.description.precision
    let threads = source.threads ?? UsableCores.current.count
    let pair = [("as configured", file), ("as packed", changed)]
    CommandRunner.onRanks { communicator in
      var rows: [(String, [String: Double])] = []
      for (name, configuration) in pair {
        let assembly = try RunAssembly(configuration, file: path, threads: threads, communicator: communicator)
        let materials = try assembly.materials(for: .evaluate, weights: opened.weightsPath)
        let report = try EvaluationReport(assembly, materials, count: count, samples: 0)
        rows.append((name, report.figures))
      }
      try OutputOptions.say(json ? summary.json(rows) : summary.text(rows), besides: output)
      return .done
    }
  }

  /// The output of the command.
  private struct Summary {
    let path: String
    let layout: PackedFile.Layout
    let bytes: Int
    let source: ModelSource
    let report: QuantizationReport?

    func text(_ evaluations: [(String, [String: Double])]) -> String {
      var parts: [String] = []
      if let report { parts.append(report.text) }
      if !evaluations.isEmpty {
        let names = Set(evaluations.flatMap { $0.1.keys }).sorted()
        var table = Table(
          ["held out"] + evaluations.map(\.0), alignments: [.left] + evaluations.map { _ in .right })
        for name in names { table.add([name] + evaluations.map { FigureText.fixed($0.1[name] ?? .nan, 4) }) }
        parts.append(table.text)
      }
      let parameters = FigureText.grouped(source.model.table.parameterCount)
      parts.append("\(path)  \(FigureText.bytes(bytes)), \(parameters) parameters, \(layout.rawValue)")
      return parts.joined(separator: "\n") + "\n"
    }

    func json(_ evaluations: [(String, [String: Double])]) -> String {
      var members: [String: JSONValue] = [
        "path": .text(path), "layout": .text(layout.rawValue), "bytes": .integer(bytes),
        "parameters": .integer(source.model.table.parameterCount),
      ]
      if let report { members["errors"] = report.json }
      for (name, figures) in evaluations {
        members[name.replacingOccurrences(of: " ", with: "_")] = .object(figures.mapValues { .number($0) })
      }
      return JSONValue.object(members).serialized + "\n"
    }
  }
}

extension PackedFile.Layout: ExpressibleByArgument {}
