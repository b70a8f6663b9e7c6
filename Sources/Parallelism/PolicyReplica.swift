import CKernels
import Errors
import LowBit
import MPI
import Parameters
import Tensors

/// π_old: the complete packed model on every rank, so that sampling needs no communication.
///
/// A publication updates the replica from the owners' packed masters. Tensors that every rank holds are copied. For the
/// mini-MoEs of other ranks only differences are sent: the XOR with the last publication, compressed by zstd, or the
/// codes themselves if those are smaller. Before the first publication the replica is all zeros, so everything is sent.
/// The receiver checks a hash of the result, so a replica that differs from its owner's weights is detected.
public final class PolicyReplica {
  /// The complete model. Do not read it during a publication.
  public let weights: PackedModel
  private let topology: Topology
  private let isShared: Bool

  /// The cost of one publication.
  public struct Publication: Sendable {
    /// Bytes that this rank received from the owners of other mini-MoEs.
    public var bytes = 0
    /// Bytes of the same tensors without compression.
    public var wholeBytes = 0
    public var seconds = 0.0
    /// Number of codes of the group's mini-MoEs that changed, and number of all codes; both 0 if nothing is sent.
    public var changedCodes = 0
    public var codes = 0

    public var changedShare: Double { Double(changedCodes) / Double(max(1, codes)) }
  }

  /// A replica with memory of its own; empty until the first publication.
  public init(_ empty: PackedModel, topology: Topology) {
    precondition(empty.held.count == empty.table.count, "a policy replica holds the complete model")
    weights = empty
    self.topology = topology
    isShared = false
  }

  /// Uses the training weights as the replica, if this rank holds all of them: always up to date.
  public init(sharing weights: PackedModel, topology: Topology) {
    precondition(weights.held.count == weights.table.count, "a policy replica holds the complete model")
    self.weights = weights
    self.topology = topology
    isShared = true
  }

  /// Resets the replica to zeros, as before the first publication, because differences need an equal base on every
  /// rank.
  ///
  /// - Precondition: the replica has memory of its own.
  public func clear() {
    precondition(!isShared, "the training weights are not a replica to clear")
    for id in weights.held {
      for memory in weights.memory(id) { memory.initializeMemory(as: UInt8.self, repeating: 0) }
    }
  }

  /// Copies this rank's packed weights from `current` and fetches all others from their owners. Collective.
  ///
  /// - Throws: `MPIError`; `ReplicaError` if a message is damaged.
  public func publish(_ current: PackedModel) throws -> Publication {
    var publication = Publication()
    guard !isShared else { return publication }
    let start = ContinuousClock.now
    let ownership = topology.ownership
    if ownership.size > 1 {
      for index in 0..<ownership.miniMoEs / ownership.size {
        try exchange(ownership.owned.lowerBound + index, current, &publication)
      }
      let totals = try topology.expertGroup.allReduce([publication.changedCodes, publication.codes], .sum)
      (publication.changedCodes, publication.codes) = (totals[0], totals[1])
    }
    weights.copy(from: current)
    publication.seconds = (ContinuousClock.now - start) / .seconds(1)
    return publication
  }

  /// Publishes this rank's `miniMoE` and receives the corresponding mini-MoE of each other rank.
  private func exchange(_ miniMoE: Int, _ current: PackedModel, _ publication: inout Publication) throws {
    let group = topology.expertGroup
    let new = ReplicaBytes(current, miniMoE: miniMoE)
    let old = ReplicaBytes(weights, miniMoE: miniMoE)
    let counts = new.changedCodes(since: old)
    publication.changedCodes += counts.changed
    publication.codes += counts.all
    let message: [UInt8]
    do throws(ReplicaError.Fault) {
      message = try new.message(since: old)
    } catch {
      throw ReplicaError(miniMoE: miniMoE, owner: topology.world.rank, fault: error)
    }
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

/// A message of a publication arrived damaged, or could not be created.
public struct ReplicaError: QuillanError {
  enum Fault: Error, Equatable { case damaged, differs, memory }

  let miniMoE: Int
  let owner: Int
  let fault: Fault

  public var status: ErrorStatus { .failure }
  public var place: String? { "mini-MoE \(miniMoE) from rank \(owner)" }

  public var problem: String {
    switch fault {
    case .damaged: "the packed weights did not decompress"
    case .differs: "the packed weights do not match their checksum"
    case .memory: "not enough memory to compress the packed weights"
    }
  }

  public var remedy: String? {
    "check the machines' memory and network, then resume from the last checkpoint"
  }
}
