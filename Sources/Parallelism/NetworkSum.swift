import MPI
import Tensors

/// All-reduce over ranks of several machines as a non-blocking reduce-scatter followed by a non-blocking all-gather:
/// slice r of every rank goes to rank r, which adds the slices in rank order and sends the sum to all ranks. In each
/// phase a rank sends and receives (p − 1)/p of the buffer, which is the minimum (Thakur, Rabenseifner and Gropp,
/// "Optimization of Collective Communication Operations in MPICH", 2005, section 4.5). Open MPI's non-blocking
/// all-reduce of two or three ranks sends twice as much, one direction after the other.
final class NetworkSum {
  private let ranks: Communicator
  /// Slices received from all ranks.
  private let received: AlignedBuffer<Float>
  /// Distance between two received slices, in elements.
  private let stride: Int
  /// Four rows with one number per rank: length and offset of the rank's slice, length of this rank's slice, and offset
  /// in `received` of the rank's data.
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

  /// Starts the reduce-scatter: sends each slice to the rank that adds it.
  func scatter(
    _ values: UnsafeMutableBufferPointer<Float>, keeping owners: MemoryOwners
  ) throws(MPIError) -> PolledTransfer {
    self.values = values
    for rank in 0..<ranks.size {
      row(0)[rank] = Int32(slice(rank).count)
      row(1)[rank] = Int32(slice(rank).lowerBound)
      row(2)[rank] = Int32(slice(ranks.rank).count)
      row(3)[rank] = Int32(rank * stride)
    }
    return try ranks.startAllToAll(
      values, counts: row(0), offsets: row(1), into: received.bufferPointer, counts: row(2), offsets: row(3),
      keeping: owners)
  }

  /// After `scatter` has completed: adds the slices of this rank and starts the all-gather of the sums.
  func gather(_ pool: WorkerPool, keeping owners: MemoryOwners) throws(MPIError) -> PolledTransfer {
    let local = slice(ranks.rank)
    if let base = values.baseAddress {
      pool.split(local.count, grain: 16, least: 1 << 14) { _, range in
        Float.sum(
          ranks.size, stride: stride, range.count, received.pointer + range.lowerBound,
          into: base + local.lowerBound + range.lowerBound)
      }
    }
    return try ranks.startAllGather(values, counts: row(0), offsets: row(1), keeping: owners)
  }
}
