import ArgumentParser
import Exports
import Formats
import Foundation
import MPI
import Models
import Tensors
import Training

/// `quillan quantize`.
struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Pack weights into one file for generation.",
    discussion: """
      Formats are those of the weights' configuration; --set precision.<component>=<format> packs in another one, and \
      then the error of every tensor is printed. A model trained in the formats it is packed in computes the same bits \
      packed as in training. --layout mapped starts at once but is bound to this program's kernels; compressed is \
      smaller and read everywhere; a packed model given as input changes its layout. \
      --evaluate measures both on the held-out data of the configuration.
      """)

  @OptionGroup var source: SourceOptions

  @Option(name: .shortAndLong, help: ArgumentHelp("The packed model to write.", valueName: "file"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("mapped or compressed.", valueName: "layout"))
  var layout = PackedFile.Layout.compressed

  @Flag(help: "Print every tensor's error, also where formats are the configuration's.")
  var errors = false

  @Option(
    help: ArgumentHelp(
      "Held-out prompts to answer (and all held-out text to read) with the weights as configured and as packed.",
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

  /// Evaluates the weights in both formats. Does not return: it ends the process under MPI.
  private func compare(_ opened: ModelSource, count: Int, _ summary: Summary) throws {
    guard case .masters = opened.weights, let (text, path) = opened.configuration else {
      throw CommandError(.usage, "\(opened.path): --evaluate needs fp32 weights and the configuration of their run")
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

  /// What the command prints.
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
