import ArgumentParser
import Exports
import Foundation
import Parameters
import Tensors
import Training

/// `quillan export safetensors`.
struct ExportSafetensorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "safetensors",
    abstract: "Write model.safetensors and config.json.",
    discussion: """
      fp32 and bf16 write every parameter under its own name; packed writes codes and scales in the configured formats. \
      The directory is itself a model for every command, and exporting it again gives the same bytes.
      """)

  @OptionGroup var source: SourceOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The directory to write to; made where it is missing.", valueName: "directory"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  enum Kind: String, ExpressibleByArgument, CaseIterable { case fp32, bf16, packed }

  @Option(help: ArgumentHelp("fp32, bf16 or packed.", valueName: "type"))
  var type = Kind.fp32

  func validate() throws { try PathCheck.validate(["--output": output]) }

  func run() throws {
    try OutputDirectory.check(output, names: ["model.safetensors", "config.json"], replacing)
    let context = source.context()
    let opened = try source.open(context)
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
    try StandardOutput.write("\(path)  \(FigureText.bytes(OutputOptions.byteCount(path)))\n\(output)/config.json\n")
  }
}

/// Directories that exports write into.
enum OutputDirectory {
  /// Proves before the work that the files of these names can be written into a directory that may be missing.
  static func check(_ path: String, names: [String], _ replacing: OutputOptions) throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    for name in names { try replacing.check("\(path)/\(name)") }
  }

  static func create(_ path: String) throws(CommandError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw CommandError(.failed, "\(path): cannot create the directory; check the path and its permissions")
    }
  }
}
