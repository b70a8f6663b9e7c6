import ArgumentParser
import Errors
import Exports
import Reports

/// `quillan export onnx`.
struct ExportONNXCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "onnx",
    abstract: "Write the network as ONNX graphs: model.onnx, diffusion.onnx and config.json.",
    discussion: """
      model.onnx maps input_ids, latents and past keys and values to logits and present keys and values; \
      diffusion.onnx samples latents from random bits and uniform numbers. Weights above 64 MiB are stored in \
      weights.bin. --type quantised keeps the number formats; fp32 stores each weight as the fp32 value that products \
      use. Both quantise activations as the model does.
      """)

  @OptionGroup var source: SourceOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The directory to write to; created if missing.", valueName: "directory"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  enum Kind: String, ExpressibleByArgument, CaseIterable { case quantised, fp32 }

  @Option(help: ArgumentHelp("Storage of weights: quantised or fp32.", valueName: "type"))
  var type = Kind.quantised

  func validate() throws { try PathCheck.validate(["--output": output]) }

  func run() throws {
    try OutputDirectory.check(output, names: ["model.onnx", "diffusion.onnx", "weights.bin", "config.json"], replacing)
    let context = source.context()
    let opened = try source.open(context)
    let packed = try opened.packed(context)
    try OutputDirectory.create(output)
    let outcome = try ONNXExporter.write(
      opened.model, packed, storesFloats: type == .fp32,
      metadata: ["config": opened.description.json, "weights": type.rawValue], version: Quillan.version, to: output,
      policy: replacing.policy)
    try AtomicFile.write(opened.description.json, to: "\(output)/config.json", policy: replacing.policy)
    var text = ""
    for path in outcome.files {
      text += "\(path)  \(FigureText.bytes(OutputOptions.byteCount(path)))\n"
    }
    try StandardOutput.write(text + "\(output)/config.json\n")
  }
}
