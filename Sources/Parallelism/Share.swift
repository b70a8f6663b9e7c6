import MPI
import Tensors

/// The contiguous range of a step's numbered items (groups, sequences, prompts) that this rank computes.
public struct Share: Sendable, Equatable {
  public let range: Range<Int>
  public let total: Int

  public init(of total: Int, rank: Int, size: Int) {
    range = WorkerPool.part(rank, of: size, count: total)
    self.total = total
  }
}

extension Communicator {
  /// All-gathers records of `width` numbers, in rank order. Collective.
  ///
  /// Each rank has a contiguous range of the numbered items, so the result is in item order for any number of ranks.
  public func gatherRecords(_ records: [[Double]], width: Int) throws(MPIError) -> [[Double]] {
    precondition(records.allSatisfy { $0.count == width }, "records of other than \(width) numbers")
    let flat = try allGatherv(records.flatMap { $0 }).flatMap { $0 }
    return stride(from: 0, to: flat.count, by: max(1, width)).map { Array(flat[$0..<$0 + width]) }
  }
}
