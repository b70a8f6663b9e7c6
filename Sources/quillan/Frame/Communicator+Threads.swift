import Foundation
import MPI
import Tensors

extension Communicator {
  /// The number of threads of this rank: `configured`, or, if that is 0, this rank's share of the cores that it may use
  /// together with other ranks of the machine. Rank 0 warns if ranks are bound to too few cores. Collective.
  func threads(configured: Int) throws -> Int {
    let machine = try splitByMachine()
    let own = UsableCores.current
    let all = try machine.allGatherv(Self.numbers(own)).map(Self.cores)
    if rank == 0, let warning = Self.warning(all, configured: configured) { CommandLog.logger.warning("\(warning)") }
    return configured > 0 ? configured : UsableCores.divided(all)[machine.rank]
  }

  /// A warning if the cores of the machine's ranks are too few or partly unused; `all[0]` is this rank.
  private static func warning(_ all: [UsableCores], configured: Int) -> String? {
    let used = Set(all.flatMap(\.processors)).count
    // The parent is mpirun, or its daemon on this machine.
    let available = all.count > 1 || ProcessRank.isLaunched ? UsableCores.processors(of: getppid()).count : used
    let remedy = "mpirun binds ranks to cores; --bind-to none lets them use all"
    if configured == 0, used < available {
      return "the \(all.count == 1 ? "rank" : "ranks") of this machine may use \(used) of \(available) cores: \(remedy)"
    }
    guard configured > all[0].count else { return nil }
    let cores = "\(all[0].count) core\(all[0].count == 1 ? "" : "s")"
    return "parallel.threads is \(configured), but the rank may use only \(cores), so threads compete for them"
      + (used < available ? ": \(remedy)" : "; lower it")
  }

  /// The message format of `cores`: the quota, the length of its group's name, that name, then the processors.
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
