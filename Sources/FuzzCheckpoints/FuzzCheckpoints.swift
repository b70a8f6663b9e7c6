import Checkpoints
import Foundation

/// The readers of checkpoints and packed models fed with arbitrary bytes.
///
/// Built with libFuzzer (`launch/faults fuzz`) it is fed by the fuzzer. Built without, the program reads the files named
/// on its command line, to repeat what a fuzzer found, or, with `--seeds DIRECTORY`, writes inputs to start from.
///
/// The first byte of an input chooses the reader: a manifest, a frame, a whole checkpoint, or a packed model.
enum FuzzCheckpoints {
  static func read(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    switch choice % 5 {
    case 0: _ = try? Manifest(text: Array(rest), path: "m")
    case 1: _ = try? Manifest(text: Manifest.signed(Array(rest)), path: "m")
    case 2: FrameProbe.decode(rest)
    case 3: CheckpointProbe.read(rest)
    default: PackedProbe.read(rest)
    }
  }
}

#if FUZZING
  /// libFuzzer's loop, which ends the process.
  @_silgen_name("LLVMFuzzerRunDriver")
  private func runFuzzer(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ read: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
  ) -> Int32

  /// The package manager makes this the entry of the executable.
  @_cdecl("FuzzCheckpoints_main")
  public func fuzz(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    var (count, arguments) = (count, arguments)
    return runFuzzer(&count, &arguments) { start, count in
      FuzzCheckpoints.read(UnsafeRawBufferPointer(start: start, count: count))
      return 0
    }
  }
#else
  @main struct Replay {
    static func main() throws {
      let arguments = Array(CommandLine.arguments.dropFirst())
      if arguments.count == 2, arguments[0] == "--seeds" { return try Seeds.write(to: arguments[1]) }
      for path in arguments {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        data.withUnsafeBytes { FuzzCheckpoints.read($0) }
        print("\(path): read without a crash")
      }
    }
  }
#endif
