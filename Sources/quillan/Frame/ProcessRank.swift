import Foundation
import MPI

/// This process's place among the ranks, also before MPI starts.
struct ProcessRank {
  let rank: Int
  let size: Int

  /// What MPI says, or else what mpirun wrote into the environment; a process of its own is rank 0 of 1.
  static var current: ProcessRank {
    if let world = Environment.world { return ProcessRank(rank: world.rank, size: world.size) }
    let variables = ProcessInfo.processInfo.environment
    guard let size = variables["OMPI_COMM_WORLD_SIZE"].flatMap({ Int($0) }),
      let rank = variables["OMPI_COMM_WORLD_RANK"].flatMap({ Int($0) })
    else { return ProcessRank(rank: 0, size: 1) }
    return ProcessRank(rank: rank, size: size)
  }
}

extension Communicator {
  /// Threads of this rank: `configured`, or for 0 this machine's cores divided by its ranks. Collective.
  func threads(configured: Int) throws -> Int {
    let neighbours = try splitByMachine().size
    return configured > 0 ? configured : max(1, ProcessInfo.processInfo.activeProcessorCount / neighbours)
  }
}
