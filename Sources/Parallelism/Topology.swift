import MPI
import Parameters

/// The ranks of a run: world = data-parallel × expert-parallel.
///
/// An expert group is P = `parallel.expert` consecutive ranks (one node if mpirun places ranks node by node) that
/// together hold the council once. Ranks with the same index in their expert groups hold the same mini-MoEs and form a
/// data-parallel group.
public struct Topology: Sendable {
  /// All ranks.
  public let world: Communicator
  /// This rank's expert group; `expertGroup.rank` is the expert rank.
  public let expertGroup: Communicator
  /// The ranks that hold the same mini-MoEs as this one.
  public let dataGroup: Communicator
  public let ownership: Ownership
  /// The lowest world rank on this machine.
  let machine: Int

  /// Divides `world` into groups. Collective.
  ///
  /// - Parameters:
  ///   - expert: P, one of `Ownership.validSizes`.
  ///   - machine: the ranks that share memory; nil means the ranks of this machine. Tests pass smaller groups to
  ///     simulate several machines.
  public init(world: Communicator, expert: Int, miniMoEs: Int, machine: Communicator? = nil) throws(MPIError) {
    precondition(
      Ownership.validSizes(ranks: world.size, miniMoEs: miniMoEs).contains(expert),
      "\(world.size) ranks and \(miniMoEs) mini-MoEs in expert groups of \(expert)")
    self.world = world
    guard let group = try world.split(color: world.rank / expert, key: world.rank),
      let data = try world.split(color: world.rank % expert, key: world.rank)
    else { preconditionFailure("MPI_Comm_split returned no communicator for a color") }
    expertGroup = group
    dataGroup = data
    let neighbours: Communicator
    if let machine { neighbours = machine } else { neighbours = try world.splitByMachine() }
    self.machine = try neighbours.broadcast(world.rank, from: 0)
    ownership = Ownership(miniMoEs: miniMoEs, size: expert, rank: group.rank)
  }

  /// Whether this rank writes its part of a parameter to files. Exactly one rank does for each part.
  public func writes(_ specification: ParameterSpecification) -> Bool {
    guard ownership.holds(specification) else { return false }
    return specification.miniMoE == nil ? world.rank == 0 : dataGroup.rank == 0
  }

  /// The parts of the trained parameters whose optimizer state this rank keeps. Not `sharded`: everything that it
  /// holds. `sharded`: its share of the replicated tensors (divided over the world) and of its mini-MoEs (divided over
  /// its data-parallel group).
  public func optimizerParts(_ table: ParameterTable, sharded: Bool) -> [ParameterPart] {
    let held = ownership.held(in: table).filter { table[$0].role != .balanceBias }
      .map { ParameterPart($0, 0..<table[$0].count) }
    guard sharded else { return held }
    let replicated = held.filter { table[$0.id].miniMoE == nil }
    let council = held.filter { table[$0.id].miniMoE != nil }
    let shares =
      ParameterPart.share(replicated, index: world.rank, of: world.size)
      + ParameterPart.share(council, index: dataGroup.rank, of: dataGroup.size)
    return shares.sorted { $0.id.index < $1.id.index }
  }

  /// `4 ranks = 2 data-parallel × 2 expert-parallel …`, for the log.
  public static func describe(ranks: Int, _ ownership: Ownership) -> String {
    let council =
      ownership.size == 1
      ? "every rank holds \(ownership.miniMoEs == 1 ? "the mini-MoE" : "all \(ownership.miniMoEs) mini-MoEs")"
      : "\(ownership.miniMoEs / ownership.size) of \(ownership.miniMoEs) mini-MoEs on each rank of a group"
    return
      "\(ranks) \(ranks == 1 ? "rank" : "ranks") = \(ranks / ownership.size) data-parallel × \(ownership.size) expert-parallel (\(council))"
  }
}
