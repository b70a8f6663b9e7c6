import Configuration
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
        checkpoints.lazy.compactMap(RecordedConfiguration.ofCheckpoint).first
        ?? configuration.checkpoint.weights.flatMap(RecordedConfiguration.ofWeights)
      number = found?.data.split.rawValue ?? 0
    }
    return SplitVersion(rawValue: try communicator.broadcast(number, from: 0))
  }
}
