import Configuration
import Models
import MPI
import Tensors

/// The `precision.bf16_sums` of a run whose configuration leaves it open.
public enum RecordedSums {
  /// The order of a run that starts or resumes: that of the checkpoint to resume from, else the order that suits all
  /// ranks. Collective; the ranks' configurations agree.
  public static func order(
    resuming choice: ResumeChoice?, _ configuration: RunConfiguration, name: String, _ communicator: Communicator
  ) throws(MPIError) -> BFloat16Sums {
    try order(configuration, communicator) {
      let checkpoints = (try? choice?.find(parent: configuration.logging.directory, name: name))?.checkpoints ?? []
      return checkpoints.lazy.compactMap(RecordedConfiguration.ofCheckpoint).first
    }
  }

  /// The order in which weights are evaluated: that of the run that wrote them, else the order that suits all ranks.
  /// Collective; the ranks' configurations agree.
  public static func order(
    evaluating configuration: RunConfiguration, _ communicator: Communicator
  ) throws(MPIError) -> BFloat16Sums {
    try order(configuration, communicator) {
      configuration.checkpoint.weights.flatMap(RecordedConfiguration.ofWeights)
    }
  }

  /// - Parameter recorded: the configuration that rank 0 finds.
  private static func order(
    _ configuration: RunConfiguration, _ communicator: Communicator, _ recorded: () -> RunConfiguration?
  ) throws(MPIError) -> BFloat16Sums {
    guard configuration.precision.bf16Sums == .auto else { return configuration.precision.bf16Sums }
    let found = communicator.rank == 0 ? recorded()?.precision.bf16Sums.resolved(hasTiles: false) : nil
    let all = BFloat16Sums.allCases
    let index = try communicator.broadcast(found.flatMap { all.firstIndex(of: $0) } ?? -1, from: 0)
    if all.indices.contains(index) { return all[index] }
    return BFloat16Sums.auto.resolved(
      hasTiles: try communicator.allReduce(Int32(Kernels.hasTiles ? 1 : 0), .minimum) == 1)
  }
}
