import CKernels
import LowBit
import MPI
import Parameters
import Tensors

/// π_old: the whole packed model on every rank, so that sampling needs no communication.
///
/// A publication brings it up to date with the owners' packing of their masters. What every rank holds is copied; of
/// the mini-MoEs of other ranks the differences travel: XOR with the last publication, compressed (zstd), or the codes
/// themselves where those are smaller. At the start the last publication is all zeros, so everything travels. What
/// arrives is checked by a hash of the result, so a replica that differs from its owner's is noticed, too.
public final class PolicyReplica {
  /// The whole model; read it between publications only.
  public let weights: PackedModel
  private let topology: Topology
  private let isShared: Bool

  /// What one publication cost.
  public struct Publication: Sendable {
    /// Bytes that this rank received from the owners of other mini-MoEs.
    public var bytes = 0
    /// Bytes that the same tensors have uncompressed.
    public var wholeBytes = 0
    public var seconds = 0.0
    /// Codes of this group's mini-MoEs that changed, of all of them; 0 of 0 where nothing travels.
    public var changedCodes = 0
    public var codes = 0

    public var changedShare: Double { Double(changedCodes) / Double(max(1, codes)) }
  }

  /// A replica of its own memory, still empty: publish before use.
  public init(_ empty: PackedModel, topology: Topology) {
    precondition(empty.held.count == empty.table.count, "a policy replica holds the whole model")
    weights = empty
    self.topology = topology
    isShared = false
  }

  /// The training weights themselves, where this rank holds all of them: always up to date.
  public init(sharing weights: PackedModel, topology: Topology) {
    precondition(weights.held.count == weights.table.count, "a policy replica holds the whole model")
    self.weights = weights
    self.topology = topology
    isShared = true
  }

  /// Goes back to all zeros, as before the first publication: the differences that travel need the same on every rank.
  ///
  /// - Precondition: the replica has memory of its own.
  public func clear() {
    precondition(!isShared, "the training weights are not a replica to clear")
    for id in weights.held {
      for memory in weights.memory(id) { memory.initializeMemory(as: UInt8.self, repeating: 0) }
    }
  }

  /// Takes over the current packing `own` of what this rank holds, and from the owners all else. Collective.
  ///
  /// - Throws: `MPIError`; `ReplicaError` where what arrived is damaged.
  public func publish(_ own: PackedModel) throws -> Publication {
    var publication = Publication()
    guard !isShared else { return publication }
    let start = ContinuousClock.now
    let ownership = topology.ownership
    if ownership.size > 1 {
      for index in 0..<ownership.miniMoEs / ownership.size {
        try exchange(ownership.owned.lowerBound + index, own, &publication)
      }
      let totals = try topology.expertGroup.allReduce([publication.changedCodes, publication.codes], .sum)
      (publication.changedCodes, publication.codes) = (totals[0], totals[1])
    }
    weights.copy(from: own)
    publication.seconds = (ContinuousClock.now - start) / .seconds(1)
    return publication
  }

  /// Publishes the own `miniMoE` and receives one of each other rank.
  private func exchange(_ miniMoE: Int, _ own: PackedModel, _ publication: inout Publication) throws {
    let group = topology.expertGroup
    let new = ReplicaBytes(own, miniMoE: miniMoE)
    let old = ReplicaBytes(weights, miniMoE: miniMoE)
    let counts = new.changedCodes(since: old)
    publication.changedCodes += counts.changed
    publication.codes += counts.all
    let message = try new.message(since: old)
    let messages = try group.allGatherv(message)
    for (rank, message) in messages.enumerated() where rank != group.rank {
      let arriving = miniMoE + (rank - group.rank) * topology.ownership.owned.count
      let target = ReplicaBytes(weights, miniMoE: arriving)
      publication.bytes += message.count
      publication.wholeBytes += target.count
      do throws(ReplicaError.Fault) {
        try target.apply(message)
      } catch {
        throw ReplicaError(miniMoE: arriving, owner: topology.world.rank - group.rank + rank, fault: error)
      }
    }
  }
}

/// A publication that did not arrive as it was sent.
public struct ReplicaError: Error, CustomStringConvertible {
  enum Fault: Error, Equatable { case damaged, differs, memory }

  let miniMoE: Int
  let owner: Int
  let fault: Fault

  public var description: String {
    let problem =
      switch fault {
      case .damaged: "did not decompress"
      case .differs: "does not match its checksum"
      case .memory: "could not be compressed for want of memory"
      }
    return "the packed weights of mini-MoE \(miniMoE) from rank \(owner) \(problem); "
      + "check the machines' memory and network, then start again from the last checkpoint"
  }
}
