import ArgumentParser
import Checkpoints
import Formats
import Errors
import Reports
import Rollouts

/// `quillan checkpoint inspect`.
struct CheckpointInspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show the contents of a checkpoint, from its manifest.",
    discussion: "No tensor is read; 'quillan checkpoint verify' reads and checks all.")

  @Argument(help: ArgumentHelp("The checkpoint.", valueName: "checkpoint"))
  var path: String

  @Flag(help: "Show every tensor instead of sums by component.")
  var tensors = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws { try PathCheck.validate(["the checkpoint's path": path]) }

  func run() throws {
    let reader = try CheckpointReader(CheckpointStore.checkpoint(at: path))
    try StandardOutput.write(json ? Self.json(reader) : text(reader))
  }

  private func text(_ reader: CheckpointReader) -> String {
    let manifest = reader.manifest
    let layout = manifest.expertFiles == 0 ? "one file" : "experts in \(FigureText.count(manifest.expertFiles, "file"))"
    let lines = [
      "\(reader.path)",
      "\(manifest.phase), step \(manifest.step), written by quillan \(manifest.program) on "
        + "\(FigureText.count(manifest.ranks, "rank")) (expert groups of \(manifest.expertParallel)), \(layout)",
      manifest.counters.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
    ]
    var files = Table(["file", "bytes"])
    for file in manifest.files { files.add([file.name, FigureText.grouped(file.byteCount)]) }
    return lines.joined(separator: "\n") + "\n\n\(files.text)\n\n\(tensors ? all(manifest) : sums(manifest))\n"
  }

  private func all(_ manifest: Manifest) -> String {
    var table = Table(["tensor", "kind", "type", "shape", "slices", "bytes", "stored"])
    for tensor in manifest.tensors {
      table.add([
        tensor.key.name, tensor.key.kind.rawValue, tensor.type.rawValue,
        tensor.shape.map(String.init).joined(separator: "×"), "\(tensor.slices.count)",
        FigureText.grouped(tensor.byteCount), FigureText.grouped(tensor.storedByteCount),
      ])
    }
    return table.text
  }

  /// Sums by component (the first part of a tensor's name) and kind.
  private func sums(_ manifest: Manifest) -> String {
    var table = Table(["component", "kind", "tensors", "types", "bytes", "stored", "ratio"])
    func add(_ name: String, _ kind: String, _ tensors: [Manifest.Tensor]) {
      let (bytes, stored) = (tensors.reduce(0) { $0 + $1.byteCount }, tensors.reduce(0) { $0 + $1.storedByteCount })
      let types = Set(tensors.map(\.type.rawValue)).sorted().joined(separator: " ")
      table.add([
        name, kind, "\(tensors.count)", types, FigureText.grouped(bytes), FigureText.grouped(stored),
        stored > 0 ? FigureText.fixed(Double(bytes) / Double(stored), 3) : "",
      ])
    }
    for kind in TensorKind.allCases {
      let members = manifest.tensors.filter { $0.key.kind == kind }
      guard !members.isEmpty else { continue }
      let groups = Dictionary(grouping: members) { $0.key.name.prefix { $0 != "." } }
      for name in groups.keys.sorted() { add(String(name), kind.rawValue, groups[name] ?? []) }
      if groups.count > 1 { add("all", kind.rawValue, members) }
    }
    return table.text
  }

  private static func json(_ reader: CheckpointReader) -> String {
    let manifest = reader.manifest
    let object: [String: JSONValue] = [
      "format": "quillan-checkpoint", "version": .integer(Manifest.version), "path": .text(reader.path),
      "program": .text(manifest.program), "phase": .text(manifest.phase), "step": .integer(manifest.step),
      "ranks": .integer(manifest.ranks), "expert_parallel": .integer(manifest.expertParallel),
      "expert_files": .integer(manifest.expertFiles),
      "counters": .object(manifest.counters.mapValues(JSONValue.integer)),
      "files": .list(manifest.files.map { .object(["name": .text($0.name), "bytes": .integer($0.byteCount)]) }),
      "tensors": .list(
        manifest.tensors.map {
          .object([
            "name": .text($0.key.name), "kind": .text($0.key.kind.rawValue), "type": .text($0.type.rawValue),
            "shape": .list($0.shape.map(JSONValue.integer)), "slices": .integer($0.slices.count),
            "bytes": .integer($0.byteCount), "stored": .integer($0.storedByteCount),
          ])
        }),
    ]
    return JSONValue.object(object).serialized + "\n"
  }
}
