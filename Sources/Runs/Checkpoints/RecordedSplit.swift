import Checkpoints
import Configuration
import Foundation
import MPI
import Rollouts

/// The `data.split_version` of a run whose configuration leaves it open: the version of the checkpoint or weights that
/// the run starts from, so that it never evaluates on data that it was trained on.
public enum RecordedSplit {
  /// The version of the checkpoint to resume from, else of the run that wrote the initial weights. Collective.
  ///
  /// - Returns: nil if the run has neither, or neither records a version.
  public static func version(
    resuming choice: ResumeChoice?, _ configuration: RunConfiguration, name: String, _ communicator: Communicator
  ) throws(MPIError) -> SplitVersion? {
    var number = 0
    if communicator.rank == 0 {
      let checkpoints = (try? choice?.find(parent: configuration.logging.directory, name: name))?.checkpoints ?? []
      let found =
        checkpoints.lazy.compactMap(ofCheckpoint).first ?? configuration.checkpoint.weights.flatMap(ofWeights)
      number = found?.rawValue ?? 0
    }
    return SplitVersion(rawValue: try communicator.broadcast(number, from: 0))
  }

  private static func ofCheckpoint(_ path: String) -> SplitVersion? {
    guard let manifest = try? CheckpointReader(path).manifest else { return nil }
    return (try? RunConfiguration.parse(yaml: manifest.configuration, file: path))?.data.split
  }

  /// The version of a checkpoint, or of a run's weights beside their config.yaml.
  private static func ofWeights(_ path: String) -> SplitVersion? {
    if CheckpointReader.exists(path) { return ofCheckpoint(path) }
    let file = URL(fileURLWithPath: path).deletingLastPathComponent().appendingPathComponent("config.yaml").path
    guard FileManager.default.fileExists(atPath: file) else { return nil }
    return (try? RunConfiguration.load(path: file))?.data.split
  }
}
