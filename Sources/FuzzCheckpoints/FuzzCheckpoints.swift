import Checkpoints
import Foundation

/// The readers of checkpoints fed with arbitrary bytes. Built with libFuzzer (`launch/faults fuzz`) it is fed by the
/// fuzzer; built without, the program reads the files named on its command line, to repeat what a fuzzer found.
///
/// The first byte of an input chooses the reader: a manifest, a frame, or a whole checkpoint.
enum FuzzCheckpoints {
  static func read(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    switch choice % 4 {
    case 0: _ = try? Manifest(text: Array(rest), path: "m")
    case 1: _ = try? Manifest(text: Manifest.signed(Array(rest)), path: "m")
    case 2: FrameProbe.decode(rest)
    default: CheckpointProbe.read(rest)
    }
  }
}

#if FUZZING
  @_cdecl("LLVMFuzzerTestOneInput")
  public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    FuzzCheckpoints.read(UnsafeRawBufferPointer(start: start, count: count))
    return 0
  }
#else
  @main struct Replay {
    static func main() throws {
      for path in CommandLine.arguments.dropFirst() {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        data.withUnsafeBytes { FuzzCheckpoints.read($0) }
        print("\(path): read without a crash")
      }
    }
  }
#endif
