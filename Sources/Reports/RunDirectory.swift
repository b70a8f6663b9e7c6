import Configuration
import Files
import Formats
import Foundation

/// The directory of one run: `runs/<name>/` with `config.yaml`, `metrics.jsonl`, `samples.jsonl` and the plot.
///
/// Only rank 0 creates one. A directory that already holds a run is never written over: the next free name
/// (`<name>-2`, `<name>-3`, …) is taken instead.
public struct RunDirectory: Sendable, Equatable {
  /// The directory's path.
  public let path: String

  package init(path: String) {
    self.path = path
  }

  /// What the run was asked to be named: `{"format": "quillan-run", "version": 1, "name": …}`.
  public var identity: String { "\(path)/run.json" }
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
    if let problem = RunName.problem(name) {
      throw ReportError(path: parent, message: "the name of a run \(problem); \(RunName.remedy)")
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
      if mkdir(path, 0o777) == 0 {
        let directory = RunDirectory(path: path)
        try AtomicFile.write(Self.identity(name), to: directory.identity)
        try AtomicFile.write(configuration.yaml(), to: directory.configuration)
        try AtomicFile.syncDirectory(parent)
        return directory
      }
      guard errno == EEXIST else { throw .system("create the directory", path: path, code: errno) }
    }
    throw ReportError(path: parent, message: "holds 10,000 runs named '\(name)'; choose another name or remove some")
  }

  private static let format = "quillan-run"

  private static func identity(_ name: String) -> String {
    JSONValue.object(["format": .text(format), "version": 1, "name": .text(name)]).serialized + "\n"
  }

  /// The name that the run was asked to have, which its directory has unless it was taken; nil if the run does not say.
  package var askedName: String? {
    guard let bytes = FileManager.default.contents(atPath: identity),
      let members = (try? JSONValue.parse(bytes))?.objectValue, members["format"]?.textValue == Self.format
    else { return nil }
    return members["name"]?.textValue
  }

  /// Removes the directory of a run that has not recorded anything, unless it holds more than what a run begins with.
  ///
  /// - Returns: whether it is gone.
  func removeBeginnings() -> Bool {
    let beginnings = Set(
      [identity, configuration, metrics, samples, alarms, sessions, "\(path)/\(RunLock.fileName)"].map {
        String($0.dropFirst(path.count + 1))
      })
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path),
      names.allSatisfy({ beginnings.contains($0) || $0.hasPrefix("events.out.tfevents.") }),
      let handle = try? DirectoryHandle(path)
    else { return false }
    for name in names { try? handle.removeFile(name) }
    return rmdir(path) == 0
  }

  /// Proves that nothing is in the place of a file that the run will write, so that its end does not fail for it.
  ///
  /// - Throws: `ReportError` naming the link, directory or device.
  package func checkFiles() throws(ReportError) {
    let files = [
      identity, configuration, metrics, samples, alarms, plot, evaluations, best, weights, trace, routing,
    ]
    for file in files + [checkpoints] {
      let found: FileIdentity?
      do { found = try FileIdentity.at(file) } catch { throw ReportError(error) }
      let wanted = file == checkpoints ? FileIdentity.Kind.directory : .regular
      guard let kind = found?.kind, kind != wanted else { continue }
      throw ReportError(
        path: file,
        message: "\(kind.description) is in the place of \(wanted.description) of the run; move it away "
          + "(logging.directory and the run's own directory may be links, nothing in it)")
    }
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
