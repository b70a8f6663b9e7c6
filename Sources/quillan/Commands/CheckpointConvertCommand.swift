import ArgumentParser
import Checkpoints
import Configuration
import Files
import Formats
import Foundation
import Models
import Rollouts

/// `quillan checkpoint convert`.
struct CheckpointConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Convert a checkpoint to another file layout, or from or to safetensors.",
    discussion: """
      Any checkpoint loads on any number of ranks without conversion: the layout only determines the files. If the \
      target ends in .safetensors or --shard-size is given, the weights are written as safetensors. If the source is a \
      safetensors file or a directory of such files, --config names the model. Existing files are not replaced, except \
      a safetensors file with --force.
      """)

  @Argument(help: ArgumentHelp("A checkpoint, a safetensors file, or a directory of such files.", valueName: "source"))
  var source: String

  @Argument(help: ArgumentHelp("The checkpoint or safetensors file to write.", valueName: "target"))
  var target: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Distribute the mini-MoEs over this many files.", valueName: "n"))
  var experts: Int?

  @Flag(help: "Write a single file.")
  var consolidated = false

  @Flag(help: "Keep only masters and balance biases.")
  var weightsOnly = false

  @Option(
    help: ArgumentHelp(
      "Write a directory of safetensors files of approximately this size, with an index.", valueName: "MB"))
  var shardSize: Int?

  @Option(help: ArgumentHelp("Configuration of the model in a safetensors source.", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "JSON object that maps this model's tensor names to source names: a string, or a list of tensors to concatenate.",
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

  /// Whether the target is a single safetensors file.
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
      throw CommandError(
        .usage, "--config is missing: safetensors files do not describe their model",
        remedy: "give the configuration of the model")
    }
    let configuration = try RunConfiguration.load(path: config)
    let table = try QuillanModel(configuration.model, configuration.precision).table
    let names = try map.map(sources) ?? [:]
    if let unknown = names.keys.sorted().first(where: { table.id($0) == nil }) {
      throw CommandError(
        .data, at: map, "'\(unknown)' is not a tensor of the model of \(config)", remedy: "correct the map")
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

  /// Reads the map: source names by tensor name.
  private func sources(_ path: String) throws -> [String: [String]] {
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw CommandError(.failure, at: path, "cannot be read", remedy: "give a JSON file of names")
    }
    let fault = CommandError(.data, at: path, "must be a JSON object that maps names to a name or a list of names")
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
