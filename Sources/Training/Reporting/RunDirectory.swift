import Foundation

/// The directory of one run: `runs/<name>/` with `config.yaml`, `metrics.jsonl`, `samples.jsonl` and the plot.
///
/// Only rank 0 creates one. A directory that already holds a run is never written over: the next free name
/// (`<name>-2`, `<name>-3`, …) is taken instead.
public struct RunDirectory: Sendable, Equatable {
  /// The directory's path.
  public let path: String

  /// The complete resolved configuration.
  public var configuration: String { "\(path)/config.yaml" }
  /// One line of metrics per step.
  public var metrics: String { "\(path)/metrics.jsonl" }
  /// Sample completions.
  public var samples: String { "\(path)/samples.jsonl" }
  /// The reward and loss plot.
  public var plot: String { "\(path)/plot.svg" }
  /// Alarms of the run.
  public var alarms: String { "\(path)/alarms.jsonl" }
  /// When the program worked on the run, and how that ended.
  public var sessions: String { "\(path)/sessions.jsonl" }
  /// All evaluations as a Markdown table.
  public var evaluations: String { "\(path)/evaluation.md" }
  /// The weights of the best evaluation.
  public var best: String { "\(path)/best.safetensors" }
  /// The weights at the end of the run.
  public var weights: String { "\(path)/weights.safetensors" }

  /// The trace that `--trace` asks for.
  public var trace: String { "\(path)/trace.json" }
  /// The routing that debug mode writes.
  public var routing: String { "\(path)/routing.jsonl" }

  /// Checkpoints, one directory each.
  public var checkpoints: String { "\(path)/checkpoints" }

  /// Creates a new directory under `parent` for a run and writes its `config.yaml`.
  ///
  /// - Throws: `ReportError` where the name is no plain directory name, or nothing can be created there.
  public static func create(
    parent: String, name: String, configuration: RunConfiguration
  ) throws(ReportError) -> RunDirectory {
    guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), !name.contains("\0") else {
      throw ReportError(path: parent, message: "'\(name)' cannot name a run; use letters, digits, '-' and '_'")
    }
    do {
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    } catch {
      throw ReportError(
        path: parent, message: "cannot create the directory of runs; check logging.directory and its permissions")
    }
    for number in 1...10_000 {
      let path = "\(parent)/\(number == 1 ? name : "\(name)-\(number)")"
      // mkdir fails on an existing name, so two runs that start together never share one.
      if mkdir(path, 0o755) == 0 {
        let directory = RunDirectory(path: path)
        try AtomicFile.write(configuration.yaml(), to: directory.configuration)
        try AtomicFile.syncDirectory(parent)
        return directory
      }
      guard errno == EEXIST else { throw .system("create the directory", path: path, code: errno) }
    }
    throw ReportError(path: parent, message: "holds 10,000 runs named '\(name)'; choose another name or remove some")
  }

  /// Opens the directory of an earlier run, to read it or to go on with it.
  ///
  /// - Throws: `ReportError` where it holds no `config.yaml`.
  public static func open(_ path: String) throws(ReportError) -> RunDirectory {
    let directory = RunDirectory(path: path)
    guard FileManager.default.fileExists(atPath: directory.configuration) else {
      throw ReportError(path: path, message: "is not the directory of a run: it has no config.yaml")
    }
    return directory
  }
}
