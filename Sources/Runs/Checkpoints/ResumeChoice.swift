import Checkpoints
import Configuration
import Files
import Foundation
import MPI
import Reports

/// What a run resumes from (`--resume`).
public enum ResumeChoice: Sendable, Equatable {
  /// The newest usable checkpoint of the run of this name; a new run if none exists. If the directory `NAME` has no
  /// checkpoint, the directories `NAME-2`, … that runs of this name received instead are searched, newest first.
  case auto
  /// A checkpoint's directory, or a run's directory for its newest usable checkpoint.
  case path(String)

  /// `text`: `auto` or a path.
  public init(_ text: String) { self = text == "auto" ? .auto : .path(text) }

  /// Checkpoints to resume from.
  package struct Found: RankRecord, Equatable {
    /// The run directory to continue in; nil for a new one.
    package var directory: String?
    /// Paths of checkpoints, the newest first.
    package var checkpoints: [String] = []
    /// Whether the user named this checkpoint itself, so that no other may replace it.
    var isNamed = false

    init(directory: String? = nil, checkpoints: [String] = [], isNamed: Bool = false) {
      self.directory = directory
      self.checkpoints = checkpoints
      self.isNamed = isNamed
    }
  }

  /// Whether a checkpoint to resume from exists, so that initial weights are not needed. Collective.
  public func leads(_ configuration: RunConfiguration, name: String, _ communicator: Communicator) throws(MPIError)
    -> Bool
  {
    let isFound =
      communicator.rank == 0
      && (try? find(parent: configuration.logging.directory, name: name))?.checkpoints.isEmpty == false
    return try communicator.broadcast(isFound ? 1 : 0, from: 0) != 0
  }

  /// Finds checkpoints. Rank 0 only.
  ///
  /// - Throws: `CheckpointError` if the path leads to none.
  package func find(parent: String, name: String) throws -> Found {
    switch self {
    case .auto:
      let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
      let numbers = names.compactMap { entry -> Int? in
        if entry == name { return 1 }
        guard entry.hasPrefix("\(name)-"), let number = Int(entry.dropFirst(name.count + 1)), number > 1 else {
          return nil
        }
        return number
      }
      // The directory of exactly this name takes precedence over numbered ones.
      for number in numbers.filter({ $0 == 1 }) + numbers.filter({ $0 > 1 }).sorted(by: >) {
        let directory = "\(parent)/\(number == 1 ? name : "\(name)-\(number)")"
        guard number == 1 || RunDirectory(path: directory).requestedName == name else { continue }
        let checkpoints = try CheckpointStore(path: "\(directory)/checkpoints").checkpoints()
        if !checkpoints.isEmpty { return Found(directory: directory, checkpoints: checkpoints) }
      }
      return Found()
    case .path(let path):
      let path = Path(path).trimmed.text
      if Self.exists("\(path)/checkpoints") {
        let checkpoints = try CheckpointStore(path: "\(path)/checkpoints").checkpoints()
        if !checkpoints.isEmpty { return Found(directory: path, checkpoints: checkpoints) }
      }
      guard Self.exists("\(path)/manifest.json") else {
        throw CheckpointError(
          .inaccessible, path: path, problem: "does not contain a checkpoint",
          remedy: "name a checkpoint's directory or a run's directory with checkpoints, or use --resume auto")
      }
      let folder = Path(path).naming(3)?.parent
      let run = folder.flatMap { $0.name == "checkpoints" && Self.exists("\($0.parent)/config.yaml") ? $0.parent : nil }
      return Found(directory: run?.text, checkpoints: [path], isNamed: true)
    }
  }

  private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
}
