import Configuration
import Diagnostics
import Exports
import Formats
import Foundation
import LowBit
import Planning
import Reports
import Rollouts
import Runs

/// Readers that need a file.
enum FileProbes {
  private static func url(_ input: [UInt8], _ name: String) -> URL { URL(fileURLWithPath: Scratch.write(input, name)) }

  static func safetensors(_ input: [UInt8]) -> Any? {
    guard let file = try? SafetensorsFile(path: Scratch.write(input, "x.safetensors")) else { return nil }
    let contents = file.tensors.keys.sorted().map { name in
      (name, file.tensors[name]?.shape, try? file.withBytes(of: name) { Array($0) }, (try? file.floats(name)) != nil)
    }
    return (contents, file.metadata.sorted { $0.key < $1.key })
  }

  static func array(_ input: [UInt8]) -> Any? {
    let path = Scratch.write(input, "x.npy")
    var sizes: [Int] = []
    for scaling in BitEncoder.Scaling.allCases {
      guard let file = try? NumpyFile(path: path) else { return nil }
      let encoder = BitEncoder(bits: 4, scaling: scaling)
      do { try BitEncodingFile.encode(file, encoder, to: "\(Scratch.folder)/x.bits") } catch { return nil }
      sizes.append(file.count)
    }
    return (sizes, FileManager.default.contents(atPath: "\(Scratch.folder)/x.bits").map(Array.init))
  }

  static func bits(_ input: [UInt8]) -> Any? {
    let target = "\(Scratch.folder)/y.npy"
    do { try BitEncodingFile.decode(SafetensorsFile(path: Scratch.write(input, "y.bits")), to: target) } catch {
      return nil
    }
    return FileManager.default.contents(atPath: target).map(Array.init)
  }

  static func prompts(_ input: [UInt8]) -> Any? { try? PromptFile.prompts(at: url(input, "prompts.jsonl")) }

  static func trajectories(_ input: [UInt8]) -> Any? {
    try? TrajectoryFile.groups(
      at: url(input, "trajectories.jsonl"), tokenizer: ByteTokenizer(), vocabularySize: ByteTokenizer().vocabularySize)
  }

  static func text(_ input: [UInt8]) -> Any? { try? TextCorpus(contentsOf: url(input, "text.txt")) }

  static func tokenizer(_ input: [UInt8]) -> Any? {
    guard let tokenizer = try? BytePairTokenizer(tokenizer: url(input, "tokenizer.json")) else { return nil }
    let text = "A text, 12 and é\u{1F600}. \n"
    let ids = tokenizer.encode(text)
    return (ids, tokenizer.decode(ids), tokenizer.vocabularySize, tokenizer.endToken)
  }

  static func configuration(_ input: [UInt8]) -> Any? {
    (try? RunConfiguration.parse(yaml: String(decoding: input, as: UTF8.self), file: "x.yaml"))?.yaml()
  }

  static func records(_ input: [UInt8]) -> Any? {
    let folder = "\(Scratch.folder)/run"
    try? FileManager.default.removeItem(atPath: folder)
    guard mkdir(folder, 0o700) == 0 else { Scratch.end("\(folder): cannot be created; free space in /dev/shm") }
    let configuration = RunConfiguration()
    _ = Scratch.write(Array(configuration.yaml().utf8), "run/config.yaml")
    for name in ["metrics", "samples", "alarms", "sessions"] { _ = Scratch.write(input, "run/\(name).jsonl") }
    guard let directory = try? RunDirectory.open(folder) else { return nil }
    let report = try? RunReport([RunContent(path: folder)]).html
    let start = RunSession.Start(phase: "train", ranks: 1, threads: 1, parameters: 1, done: 3, total: 10)
    let recorder = try? RunRecorder(
      configuration, name: "run", title: "train", total: 10, session: start, panels: [], resuming: directory, after: 3)
    guard let recorder else { return nil }
    _ = try? recorder.record(step: 4, ["loss": 1])
    return (recorder.first, report?.count)
  }

  static func golden(_ input: [UInt8]) -> Any? {
    let path = Scratch.write(input, "case.json")
    for name in ["weights", "expected"] {
      _ = Scratch.write(Array("\u{2}\0\0\0\0\0\0\0{}".utf8), "case.\(name).safetensors")
    }
    guard let golden = try? GoldenCase(path: path) else { return nil }
    return (golden.model, golden.objective, golden.seed, golden.rewards, golden.promptLength, golden.losses)
  }

  static func calibration(_ input: [UInt8]) -> Any? {
    guard let calibration = try? Calibration(paths: [Scratch.write(input, "bench.json")]) else { return nil }
    return calibration
  }
}
