import Foundation
import MPI

/// This process's rank and the number of ranks, available before MPI starts.
struct ProcessRank {
  let rank: Int
  let size: Int

  /// Whether mpirun has started this process.
  static var isLaunched: Bool { ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_SIZE"] != nil }

  /// From MPI if it is initialised, otherwise from mpirun's environment variables; a process without mpirun is rank 0
  /// of 1.
  static var current: ProcessRank {
    if let world = Environment.world { return ProcessRank(rank: world.rank, size: world.size) }
    let variables = ProcessInfo.processInfo.environment
    guard let size = variables["OMPI_COMM_WORLD_SIZE"].flatMap({ Int($0) }),
      let rank = variables["OMPI_COMM_WORLD_RANK"].flatMap({ Int($0) })
    else { return ProcessRank(rank: 0, size: 1) }
    return ProcessRank(rank: rank, size: size)
  }
}
