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
