import Foundation
import MPI
import Tensors

/// This process's place among the ranks, also before MPI starts.
struct ProcessRank {
  let rank: Int
  let size: Int

  /// Whether mpirun has started this process.
  static var isLaunched: Bool { ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_SIZE"] != nil }

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
  /// Threads of this rank: `configured`, or for 0 the cores that it may use, divided among the ranks of this machine that may
  /// use them as well. Rank 0 warns where ranks are held to fewer cores than there are for them. Collective.
  func threads(configured: Int) throws -> Int {
    let machine = try splitByMachine()
    let own = UsableCores.current
    let all = try machine.allGatherv(Self.numbers(own)).map(Self.cores)
    if rank == 0, let warning = Self.warning(all, configured: configured) { CommandLog.logger.warning("\(warning)") }
    return configured > 0 ? configured : UsableCores.divided(all)[machine.rank]
  }

  /// What is wrong with the cores of a machine's ranks, the first being this one.
  private static func warning(_ all: [UsableCores], configured: Int) -> String? {
    let used = Set(all.flatMap(\.processors)).count
    // mpirun, or the daemon that it has on this machine.
    let available = all.count > 1 || ProcessRank.isLaunched ? UsableCores.processors(of: getppid()).count : used
    let remedy = "mpirun binds ranks to cores; --bind-to none lets them use all"
    if configured == 0, used < available {
      return "the \(all.count == 1 ? "rank" : "ranks") of this machine may use \(used) of \(available) cores: \(remedy)"
    }
    guard configured > all[0].count else { return nil }
    let cores = "\(all[0].count) core\(all[0].count == 1 ? "" : "s")"
    return "parallel.threads is \(configured), but the rank may use \(cores), so threads wait for each other"
      + (used < available ? ": \(remedy)" : "; lower it")
  }

  /// Cores as they travel: the quota and the length of its group's name, that name, then the processors.
  private static func numbers(_ cores: UsableCores) -> [Int64] {
    let group = (cores.quota?.group ?? "").utf8.map { Int64($0) }
    return [Int64(bitPattern: (cores.quota?.cores ?? 0).bitPattern), Int64(group.count)] + group
      + cores.processors.map { Int64($0) }
  }

  private static func cores(_ numbers: [Int64]) -> UsableCores {
    let (quota, length) = (Double(bitPattern: UInt64(bitPattern: numbers[0])), Int(numbers[1]))
    let group = String(decoding: numbers[2..<2 + length].map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
    return UsableCores(
      processors: numbers[(2 + length)...].map { Int($0) },
      quota: quota > 0 ? ProcessorQuota(cores: quota, group: group) : nil)
  }
}
