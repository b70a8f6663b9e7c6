import Configuration
import Files
import Formats
import Foundation

/// The directory of one run: `runs/<name>/` with `config.yaml`, `metrics.jsonl`, `samples.jsonl`, the plot and other files.
///
/// Only rank 0 creates a directory. An existing directory is never overwritten: the run uses the next free name instead
/// (`<name>-2`, `<name>-3`, …).
public struct RunDirectory: Sendable, Equatable {
  /// The directory's path.
  public let path: String

  package init(path: String) {
    self.path = path
  }

  /// The requested name of the run: `{"format": "quillan-run", "version": 1, "name": …}`.
  public var identity: String { "\(path)/run.json" }
  /// The complete resolved configuration.
  public var configuration: String { "\(path)/config.yaml" }
  /// One line of metrics per step.
  public var metrics: String { "\(path)/metrics.jsonl" }
  /// Sample completions.
  public var samples: String { "\(path)/samples.jsonl" }
  /// The reward and loss plot.
  public var plot: String { "\(path)/plot.svg" }
  /// Alarms.
  public var alarms: String { "\(path)/alarms.jsonl" }
  /// Starts and ends of the sessions of the run.
  public var sessions: String { "\(path)/sessions.jsonl" }
  /// All evaluations as a Markdown table.
  public var evaluations: String { "\(path)/evaluation.md" }
  /// The weights of the best evaluation.
  public var best: String { "\(path)/best.safetensors" }
  /// The weights at the end of the run.
  public var weights: String { "\(path)/weights.safetensors" }

  /// The trace of `--trace`.
  public var trace: String { "\(path)/trace.json" }
  /// The routing records of debug mode.
  public var routing: String { "\(path)/routing.jsonl" }

  /// Checkpoints, one directory each.
  public var checkpoints: String { "\(path)/checkpoints" }

  /// Creates a new directory in `parent` and writes `config.yaml` and `run.json`.
  ///
  /// - Throws: `ReportError` if the name is not valid or the directory cannot be created.
  public static func create(
    parent: String, name: String, configuration: RunConfiguration
  ) throws(ReportError) -> RunDirectory {
    if let problem = RunName.problem(name) {
      throw ReportError(path: parent, problem: "the name of the run \(problem)", remedy: RunName.remedy)
    }
    do {
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    } catch {
      throw ReportError(
        path: parent, problem: "cannot create the directory of runs",
        remedy: "check logging.directory and its permissions", cause: error)
    }
    for number in 1...10_000 {
      let path = "\(parent)/\(number == 1 ? name : "\(name)-\(number)")"
      // mkdir fails if the name exists, so two runs that start at the same time get different directories.
      if mkdir(path, 0o777) == 0 {
        let directory = RunDirectory(path: path)
        try AtomicFile.write(Self.identity(name), to: directory.identity)
        try AtomicFile.write(configuration.yaml(), to: directory.configuration)
        try AtomicFile.syncDirectory(parent)
        return directory
      }
      guard errno == EEXIST else { throw .system("create the directory", path: path, code: errno) }
    }
    throw ReportError(
      path: parent, problem: "contains 10,000 runs named '\(name)'", remedy: "choose another name or remove some")
  }

  private static let format = "quillan-run"

  private static func identity(_ name: String) -> String {
    JSONValue.object(["format": .text(format), "version": 1, "name": .text(name)]).serialized + "\n"
  }

  /// The requested name of the run, before a number was added to make it unique; nil if it was not recorded.
  package var requestedName: String? {
    guard let bytes = FileManager.default.contents(atPath: identity),
      let members = (try? JSONValue.parse(bytes))?.objectValue, members["format"]?.textValue == Self.format
    else { return nil }
    return members["name"]?.textValue
  }

  /// Name of the file that locks the directory while a process uses it.
  package static let lockName = "run.lock"

  /// Removes the directory of a run that has recorded nothing, unless it has files other than those of a start.
  ///
  /// - Returns: whether it was removed.
  package func removeBeginnings() -> Bool {
    let beginnings = Set(
      [identity, configuration, metrics, samples, alarms, sessions, "\(path)/\(Self.lockName)"].map {
        String($0.dropFirst(path.count + 1))
      })
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path),
      names.allSatisfy({ beginnings.contains($0) || $0.hasPrefix("events.out.tfevents.") }),
      let handle = try? DirectoryHandle(path)
    else { return false }
    for name in names { try? handle.removeFile(name) }
    return rmdir(path) == 0
  }

  /// Checks that no link, directory or device has the name of a file that the run will write, so that the run does not fail
  /// at its end.
  ///
  /// - Throws: `ReportError` with the path of the link, directory or device.
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
        path: file, problem: "is \(kind.description), but the run needs \(wanted.description) of that name",
        remedy: "move it away (logging.directory and the directory of the run may be links, but not what it contains)")
    }
  }

  /// Opens the directory of an existing run.
  ///
  /// - Throws: `ReportError` if the directory has no `config.yaml`.
  public static func open(_ path: String) throws(ReportError) -> RunDirectory {
    let directory = RunDirectory(path: path)
    guard FileManager.default.fileExists(atPath: directory.configuration) else {
      throw ReportError(path: path, problem: "not the directory of a run: config.yaml is missing")
    }
    return directory
  }
}
