import MPI
import Tensors

/// Sums buffers over ranks of several machines in two transfers, each of which can be left alone: slice r of every rank goes
/// to rank r, which adds them in the order of the ranks, and its sum goes to all. Each way a rank sends and receives
/// (p − 1)/p of the buffer, the least there is (Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication
/// Operations in MPICH", 2005, section 4.5); Open MPI's own non-blocking all-reduce of two or three ranks sends twice
/// as much, one way after the other.
final class NetworkSum {
  private let ranks: Communicator
  /// Slices from all ranks.
  private let received: AlignedBuffer<Float>
  /// Elements between them.
  private let stride: Int
  /// For each rank: elements of its slice and where that begins, elements of the own slice, and where its part is received.
  private let blocks: AlignedBuffer<Int32>
  private var values = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)

  /// - Parameter largest: elements of the largest buffer.
  init(_ ranks: Communicator, largest: Int) {
    self.ranks = ranks
    stride = (largest + 16 * ranks.size - 1) / (16 * ranks.size) * 16
    received = AlignedBuffer(count: stride * ranks.size)
    blocks = AlignedBuffer(count: 4 * ranks.size)
  }

  private func row(_ index: Int) -> UnsafeMutablePointer<Int32> { blocks.pointer + index * ranks.size }

  private func slice(_ rank: Int) -> Range<Int> {
    WorkerPool.part(rank, of: ranks.size, count: values.count, grain: 16)
  }

  /// Sends slices to the ranks that add them.
  func scatter(_ values: UnsafeMutableBufferPointer<Float>) throws(MPIError) -> PendingTransfer {
    self.values = values
    for rank in 0..<ranks.size {
      row(0)[rank] = Int32(slice(rank).count)
      row(1)[rank] = Int32(slice(rank).lowerBound)
      row(2)[rank] = Int32(slice(ranks.rank).count)
      row(3)[rank] = Int32(rank * stride)
    }
    return try ranks.startAllToAll(
      values, counts: row(0), offsets: row(1), into: received.bufferPointer, counts: row(2), offsets: row(3))
  }

  /// After `scatter`: adds this rank's slice and sends the sum to all.
  func gather(_ pool: WorkerPool) throws(MPIError) -> PendingTransfer {
    let own = slice(ranks.rank)
    if let base = values.baseAddress {
      pool.split(own.count, grain: 16, least: 1 << 14) { _, range in
        Float.sum(
          ranks.size, stride: stride, range.count, received.pointer + range.lowerBound,
          into: base + own.lowerBound + range.lowerBound)
      }
    }
    return try ranks.startAllGather(values, counts: row(0), offsets: row(1))
  }
}
