import ArgumentParser
import Exports
import Formats
import LowBit
import Training

/// `quillan bits`.
struct BitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bits", abstract: "Encode arrays in 1, 2, 4 or 8 bits a value, and decode them.",
    subcommands: [BitsEncodeCommand.self, BitsDecodeCommand.self])
}

/// `quillan bits encode`.
struct BitsEncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode", abstract: "Encode a .npy file of floats to codes and scales (safetensors).",
    discussion: """
      Rows are the last dimension. With 2, 4 or 8 bits a value comes back within half its scale, which is the largest \
      magnitude of its row divided by 1, 7 or 127; with 1 bit as plus or minus the row's mean magnitude.
      """)

  @Argument(help: ArgumentHelp("A .npy file of float32, float64 or float16.", valueName: "input.npy"))
  var input: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
  var output: String

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("1, 2, 4 or 8.", valueName: "n"))
  var bits = 1

  @Flag(help: "One scale for the whole tensor instead of one a row.")
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
      throw CommandError(.badData, "\(input): \(error)")
    }
  }
}

/// `quillan bits decode`.
struct BitsDecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode", abstract: "Decode what encode wrote to a .npy file of float32.")

  @Argument(help: ArgumentHelp("A file that encode wrote.", valueName: "input"))
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
