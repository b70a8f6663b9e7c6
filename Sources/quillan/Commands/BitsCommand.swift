import ArgumentParser
import Exports
import Formats
import LowBit

/// `quillan bits`.
struct BitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bits", abstract: "Encode arrays with 1, 2, 4 or 8 bits per value, and decode them.",
    subcommands: [BitsEncodeCommand.self, BitsDecodeCommand.self])
}

/// `quillan bits encode`.
struct BitsEncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode", abstract: "Encode a .npy file of floats as codes and scales (safetensors).",
    discussion: """
      A row extends along the last dimension. With 2, 4 or 8 bits, the error of a decoded value is at most half its \
      scale, which is the maximum magnitude of its row divided by 1, 7 or 127. With 1 bit, a value decodes to plus or \
      minus the mean magnitude of its row.
      """)

  @Argument(help: ArgumentHelp("A .npy file of float32, float64 or float16.", valueName: "input.npy"))
  var input: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Bits per value: 1, 2, 4 or 8.", valueName: "n"))
  var bits = 1

  @Flag(help: "Use one scale for the whole tensor instead of one per row.")
  var perTensor = false

  func validate() throws {
    try PathCheck.validate(["the input's path": input, "--output": output])
    if ![1, 2, 4, 8].contains(bits) { throw ValidationError("--bits must be 1, 2, 4 or 8, got \(bits)") }
  }

  func run() throws {
    try replacing.check(output)
    do {
      try BitEncodingFile.encode(
        NumpyFile(path: input), BitEncoder(bits: bits, scaling: perTensor ? .perTensor : .perRow), to: output,
        policy: replacing.policy)
    } catch let error as BitEncoderError {
      throw CommandError(.data, at: input, "\(error)")
    }
  }
}

/// `quillan bits decode`.
struct BitsDecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode", abstract: "Decode a file of 'bits encode' to a .npy file of float32.")

  @Argument(help: ArgumentHelp("A file written by 'bits encode'.", valueName: "input"))
  var input: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The .npy file to write.", valueName: "file"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  func validate() throws { try PathCheck.validate(["the input's path": input, "--output": output]) }

  func run() throws {
    try replacing.check(output)
    try BitEncodingFile.decode(SafetensorsFile(path: input), to: output, policy: replacing.policy)
  }
}
