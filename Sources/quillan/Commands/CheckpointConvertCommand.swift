import ArgumentParser
import Checkpoints
import Files
import Formats
import Foundation
import Models
import Training

/// `quillan checkpoint convert`.
struct CheckpointConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Rewrite a checkpoint in another layout, or from or to safetensors.",
    discussion: """
      Any checkpoint loads on any number of ranks as it is; a layout decides files only. To safetensors (weights only) \
      where the target ends in .safetensors or --shard-size is given; from safetensors where the source is such a file \
      or a directory of them, with --config for the model. Nothing is written over, but with --force a safetensors file.
      """)

  @Argument(help: ArgumentHelp("A checkpoint, a safetensors file, or a directory of such files.", valueName: "source"))
  var source: String

  @Argument(help: ArgumentHelp("What to write.", valueName: "target"))
  var target: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Divide the mini-MoEs over this many files.", valueName: "n"))
  var experts: Int?

  @Flag(help: "Put everything in one file.")
  var consolidated = false

  @Flag(help: "Keep masters and balance biases only.")
  var weightsOnly = false

  @Option(
    help: ArgumentHelp("Write a directory of safetensors files of about this size, with an index.", valueName: "MB"))
  var shardSize: Int?

  @Option(help: ArgumentHelp("Configuration whose model a safetensors source has.", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "JSON object of this model's tensor names to the source's: a string, or a list whose elements follow one another.",
      valueName: "file"))
  var map: String?

  func validate() throws {
    try PathCheck.validate([
      "the source's path": source, "the target's path": target, "--config": config, "--map": map,
    ])
    if replacing.force, !isFile {
      throw ValidationError("--force replaces a .safetensors file; a directory is never replaced, so name a new one")
    }
    if consolidated, experts != nil { throw ValidationError("--consolidated and --experts exclude each other") }
    if let experts, experts < 1 { throw ValidationError("--experts must be at least 1, got \(experts)") }
    if let shardSize, shardSize < 1 { throw ValidationError("--shard-size must be at least 1, got \(shardSize)") }
  }

  /// Whether the target is one safetensors file.
  private var isFile: Bool { target.hasSuffix(".safetensors") && shardSize == nil }

  func run() throws {
    if isFile { try replacing.check(target) }
    let bar = ProgressBar("convert")
    defer { bar.finish() }
    if source.hasSuffix(".safetensors") || isFolderOfSafetensors(source) {
      try load(bar)
    } else {
      let reader = try CheckpointReader(CheckpointStore.checkpoint(at: source))
      if target.hasSuffix(".safetensors") || shardSize != nil {
        try SafetensorsConversion.export(
          reader, to: target, largestFile: shardSize.map { $0 << 20 }, policy: replacing.policy, progress: bar.show)
      } else {
        let conversion = CheckpointConversion(expertFiles: consolidated ? 0 : experts, weightsOnly: weightsOnly)
        try conversion.convert(reader, to: target, progress: bar.show)
      }
    }
    bar.finish()
    try OutputOptions.say("\(target)\n", besides: target)
  }

  private func isFolderOfSafetensors(_ path: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return !names.contains("manifest.json") && !names.contains("checkpoints")
      && names.contains { $0.hasSuffix(".safetensors") }
  }

  private func load(_ bar: ProgressBar) throws {
    guard let config else {
      throw CommandError(.usage, "--config is missing: a safetensors source does not say which model it is of")
    }
    let configuration = try RunConfiguration.load(path: config)
    let table = try QuillanModel(configuration.model, configuration.precision).table
    let names = try map.map(sources) ?? [:]
    if let stranger = names.keys.sorted().first(where: { table.id($0) == nil }) {
      throw CommandError(
        .badData, "\(map ?? ""): '\(stranger)' is no tensor of the model of \(config); correct the map")
    }
    let wanted = table.specifications.map {
      SafetensorsConversion.Wanted(name: $0.name, shape: $0.shape, sources: names[$0.name] ?? [$0.name])
    }
    try SafetensorsConversion.load(
      source, wanted,
      as: Manifest(
        program: ProgramVersion.text, phase: "weights", step: 0, ranks: 1, expertParallel: 1,
        expertFiles: consolidated ? 0 : min(experts ?? 1, configuration.model.numMiniMoes), counters: [:],
        configuration: configuration.yaml()),
      to: target, progress: bar.show)
  }

  /// The names in the map.
  private func sources(_ path: String) throws -> [String: [String]] {
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw CommandError(.failed, "\(path): cannot be read; give a JSON file of names")
    }
    let fault = CommandError(.badData, "\(path): must be a JSON object of names to a name or a list of names")
    guard let members = (try? JSONValue.parse(bytes))?.objectValue else { throw fault }
    return try members.mapValues { value in
      if let name = value.textValue { return [name] }
      guard let list = value.listValue, !list.isEmpty else { throw fault }
      return try list.map { item in
        guard let name = item.textValue else { throw fault }
        return name
      }
    }
  }
}
