import Foundation
import MPI

/// Finds processes that the launcher of another MPI has started: to Open MPI, each would be a run of its own, with the
/// same files.
enum ForeignLauncher {
  /// - Throws: `AgreedError` with the reason on the launcher's first process, so that it appears once.
  static func check(_ world: Communicator) throws(AgreedError) {
    let variables = ProcessInfo.processInfo.environment
    // MPICH, Intel MPI and Slurm set these variables; Open MPI's mpirun does not.
    guard world.size == 1, !ProcessRank.isLaunched, let size = variables["PMI_SIZE"].flatMap({ Int($0) }), size > 1
    else {
      return
    }
    let error = CommandError(
      .usage, "the launcher has started \(size) processes, but it is not Open MPI's, which knows only one of them",
      remedy: "start the ranks by Open MPI's mpirun (mpirun.openmpi on Debian), or by launch/cluster --slurm")
    throw AgreedError(status: error.status, cause: variables["PMI_RANK"] == "0" ? error : nil)
  }
}
