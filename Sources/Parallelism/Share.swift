import MPI
import Tensors

/// Which of a step's numbered pieces (groups, sequences, prompts) this rank computes: contiguous parts by rank.
public struct Share: Sendable, Equatable {
  public let range: Range<Int>
  public let total: Int

  public init(of total: Int, rank: Int, size: Int) {
    range = WorkerPool.part(rank, of: size, count: total)
    self.total = total
  }
}

extension Communicator {
  /// The records of all ranks in rank order, each `width` numbers long. Collective.
  ///
  /// Ranks own contiguous parts of what is numbered, so the order is that of the numbers whatever the rank count.
  public func gatherRecords(_ records: [[Double]], width: Int) throws(MPIError) -> [[Double]] {
    precondition(records.allSatisfy { $0.count == width }, "records of other than \(width) numbers")
    let flat = try allGatherv(records.flatMap { $0 }).flatMap { $0 }
    return stride(from: 0, to: flat.count, by: max(1, width)).map { Array(flat[$0..<$0 + width]) }
  }
}
