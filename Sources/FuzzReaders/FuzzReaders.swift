import Foundation

/// The readers of files fed with arbitrary bytes, each by its name (`Reader`).
///
/// Built with libFuzzer (`launch/faults fuzz`) the reader that the environment variable QUILLAN_FUZZ_READER names is fed
/// by the fuzzer. Built without, the program reads files, to repeat what a fuzzer found, or works by itself:
///
///     FuzzReaders --list                      the readers' names
///     FuzzReaders READER --seeds DIRECTORY    writes inputs to start from
///     FuzzReaders READER --mutate N [SEED]    reads N changed seeds, the same for the same SEED
///     FuzzReaders READER --flips              reads whole files as they are on a disk (`WholeFile`) with each of their bits
///                                             flipped, and counts what became of it
///     FuzzReaders READER FILE ...             reads files
enum FuzzReaders {
  static func run(_ arguments: [String]) throws {
    if arguments == ["--list"] { return print(Reader.allCases.map(\.rawValue).joined(separator: "\n")) }
    guard let name = arguments.first, let reader = Reader(rawValue: name), arguments.count > 1 else {
      Scratch.end("give a reader of --list, and --seeds DIRECTORY, --mutate N, --flips, or files")
    }
    let rest = arguments.dropFirst(2)
    switch arguments[1] {
    case "--seeds": try writeSeeds(reader, to: rest.first ?? ".")
    case "--mutate":
      var mutation = Mutation(seed: rest.dropFirst().first.flatMap { UInt64($0) } ?? 1)
      let count = rest.first.flatMap { Int($0) } ?? 1000
      try mutate(reader, count, &mutation)
    case "--flips": try flip(reader)
    default:
      for path in arguments.dropFirst() {
        let input = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        print("\(path): \(reader.read(input) == nil ? "refused" : "read")")
      }
    }
  }

  private static func writeSeeds(_ reader: Reader, to directory: String) throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (number, seed) in try Seeds.of(reader).enumerated() {
      try Data(seed).write(to: URL(fileURLWithPath: "\(directory)/\(reader.rawValue)-\(number)"))
    }
  }

  private static func mutate(_ reader: Reader, _ count: Int, _ mutation: inout Mutation) throws {
    let seeds = try Seeds.of(reader)
    var refused = 0
    for number in 0..<count {
      let input = mutation.changed(seeds[number % seeds.count], others: seeds)
      Scratch.keep(input)
      if reader.read(input) == nil { refused += 1 }
    }
    Scratch.clear()
    print("\(reader.rawValue): \(count) changed inputs, \(refused) refused, \(count - refused) read")
  }

  private static func flip(_ reader: Reader) throws {
    let files = try WholeFile.of(reader)
    guard !files.isEmpty else { return print("\(reader.rawValue): not a file of its own, so without flips") }
    var (refused, free, other) = (0, 0, 0)
    var places: [String] = []
    for file in files {
      let whole = file.read(file.bytes).map { "\($0)" }
      for bit in 0..<8 * file.bytes.count {
        var input = file.bytes
        input[bit / 8] ^= 1 << UInt8(bit % 8)
        guard let result = file.read(input) else {
          refused += 1
          continue
        }
        if "\(result)" == whole {
          free += 1
          if places.count < 16 { places.append("\(bit / 8).\(bit % 8)") }
        } else {
          other += 1
        }
      }
    }
    print(
      "\(reader.rawValue): \(refused + free + other) flips: \(refused) refused, \(other) read as another content, "
        + "\(free) free\(places.isEmpty ? "" : " (byte.bit \(places.joined(separator: " "))\(free > 16 ? " …" : ""))")")
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

  private let chosen: Reader = {
    let name = ProcessInfo.processInfo.environment["QUILLAN_FUZZ_READER"] ?? ""
    guard let reader = Reader(rawValue: name) else { Scratch.end("QUILLAN_FUZZ_READER '\(name)' is not a reader") }
    return reader
  }()

  /// The package manager makes this the entry of the executable.
  @_cdecl("FuzzReaders_main")
  public func fuzz(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    var (count, arguments) = (count, arguments)
    return runFuzzer(&count, &arguments) { start, count in
      _ = chosen.read(Array(UnsafeBufferPointer(start: start, count: count)))
      return 0
    }
  }
#else
  @main struct Replay {
    static func main() throws { try FuzzReaders.run(Array(CommandLine.arguments.dropFirst())) }
  }
#endif
