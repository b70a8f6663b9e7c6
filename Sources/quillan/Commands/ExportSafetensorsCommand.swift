import ArgumentParser
import Errors
import Exports
import Formats
import Reports
import Runs

/// `quillan export safetensors`.
struct ExportSafetensorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "safetensors",
    abstract: "Write model.safetensors and config.json.",
    discussion: """
      A model with a chat form gets a tokenizer_config.json with its chat_template. fp32 and bf16 write every parameter under its own name; packed writes codes and scales in the configured \
      formats. Every command accepts the directory as a model, and exporting it again gives the same bytes.
      """)

  @OptionGroup var source: SourceOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The directory to write to; created if missing.", valueName: "directory"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  enum Kind: String, ExpressibleByArgument, CaseIterable { case fp32, bf16, packed }

  @Option(help: ArgumentHelp("Storage of weights: fp32, bf16 or packed.", valueName: "type"))
  var type = Kind.fp32

  func validate() throws { try PathCheck.validate(["--output": output]) }

  func run() throws {
    try OutputDirectory.check(output, names: ["model.safetensors", "config.json"], replacing)
    let context = source.context()
    let opened = try source.open(context)
    let template = try opened.description.tokenizer.chat?.chatForm().template
    if template != nil { try OutputDirectory.check(output, names: ["tokenizer_config.json"], replacing) }
    try OutputDirectory.create(output)
    let path = "\(output)/model.safetensors"
    switch type {
    case .packed:
      try PackedSafetensors.write(
        opened.packed(context), to: path, policy: replacing.policy, pool: context.pool)
    case .fp32, .bf16:
      try FloatSafetensors.write(opened, asBFloat16: type == .bf16, to: path, policy: replacing.policy)
    }
    try AtomicFile.write(opened.description.json, to: "\(output)/config.json", policy: replacing.policy)
    var written = "\(path)  \(FigureText.bytes(OutputOptions.byteCount(path)))\n\(output)/config.json\n"
    if let template {
      let text = JSONValue.object(["chat_template": .text(template)]).serialized + "\n"
      try AtomicFile.write(text, to: "\(output)/tokenizer_config.json", policy: replacing.policy)
      written += "\(output)/tokenizer_config.json\n"
    }
    try StandardOutput.write(written)
  }
}
