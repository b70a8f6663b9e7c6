import ArgumentParser
import Exports
import Foundation
import Tensors
import Training

/// `quillan export onnx`.
struct ExportONNXCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "onnx",
    abstract: "Write the network as ONNX graphs: model.onnx, diffusion.onnx and config.json.",
    discussion: """
      model.onnx takes input_ids, latents and past keys and values, and gives logits and present keys and values; \
      diffusion.onnx samples latents from random bits and uniform numbers. Weights above 64 MiB lie in weights.bin. \
      --type quantised keeps the number formats; fp32 stores every weight as the fp32 value that products use. \
      Activations are quantised as the model defines it in both.
      """)

  @OptionGroup var source: SourceOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The directory to write to; made where it is missing.", valueName: "directory"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  enum Kind: String, ExpressibleByArgument, CaseIterable { case quantised, fp32 }

  @Option(help: ArgumentHelp("quantised or fp32.", valueName: "type"))
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
