import CKernels
import MPI
import Tensors

/// Sums buffers over the ranks of a communicator: through shared memory within a machine, by all-reduce across machines.
///
/// A buffer passes in chunks. Every rank of a machine writes its chunk into shared memory, adds one slice of all of them
/// in the order of the ranks, sums that slice with the rank at the same place on every other machine, and reads the
/// result. So each element crosses a network once for each machine, and memory twice for each rank (hierarchical
/// all-reduce). Open MPI's own, over copies of 32 KiB, took 6.3 s for the 2.05 GB of the 511M model on two ranks of a machine.
package final class HierarchicalSum {
  /// Bytes of a rank's chunk; two ranks' chunks and the result stay in a core's second cache.
  private static let chunkBytes = 256 << 10
  private let communicator: Communicator
  private let machine: Communicator
  /// The ranks with this one's place on their machines; nil where no other machine is, or not all have the place.
  private let across: Communicator?
  /// Ranks of a machine that add a slice: as many as the smallest machine has.
  private let slices: Int
  private let memory: SharedMemory?
  private let pool: WorkerPool

  /// Collective.
  ///
  /// - Parameter machine: the ranks that share memory; nil: those of this machine. Tests make several of one.
  package init(_ communicator: Communicator, machine: Communicator? = nil, pool: WorkerPool) throws(MPIError) {
    self.communicator = communicator
    self.pool = pool
    if let machine { self.machine = machine } else { self.machine = try communicator.splitByMachine() }
    let machine = self.machine
    let largest = try communicator.allReduce(machine.size, .maximum)
    slices = try communicator.allReduce(machine.size, .minimum)
    if largest == 1 {
      across = nil
      memory = nil
      return
    }
    across =
      try machine.size == communicator.size
      ? nil : communicator.split(color: machine.rank < slices ? machine.rank : nil, key: communicator.rank)
    let own = try SharedMemory(machine, byteCount: (machine.size + 1) * Self.chunkBytes)
    memory = try communicator.allReduce(Int32(own == nil ? 0 : 1), .minimum) == 1 ? own : nil
  }

  /// Replaces `buffer` on every rank by the sum over all ranks. Collective; equal lengths.
  package func callAsFunction<Element: SummedElement>(_ buffer: UnsafeMutableBufferPointer<Element>) throws(MPIError) {
    guard communicator.size > 1, let memory, let base = buffer.baseAddress else {
      if communicator.size > 1 { try communicator.allReduce(buffer, .sum) }
      return
    }
    let site = CallSite(#fileID, #line)
    try communicator.recorded(.sum, buffer.count, Element.transferType, site) { () throws(MPIError) in
      let chunk = Self.chunkBytes / MemoryLayout<Element>.stride
      for first in stride(from: 0, to: buffer.count, by: chunk) {
        try sum(base + first, min(chunk, buffer.count - first), chunk, memory)
      }
    }
  }

  private func sum<Element: SummedElement>(
    _ values: UnsafeMutablePointer<Element>, _ count: Int, _ chunk: Int, _ memory: SharedMemory
  ) throws(MPIError) {
    let parts = memory.base.bindMemory(to: Element.self, capacity: (machine.size + 1) * chunk)
    let result = parts + machine.size * chunk
    copy(count, from: values, to: parts + machine.rank * chunk)
    try memory.synchronize()
    if machine.rank < slices {
      let slice = WorkerPool.part(machine.rank, of: slices, count: count, grain: 16)
      pool.split(slice.count, grain: 16, least: 1 << 14) { _, range in
        let start = slice.lowerBound + range.lowerBound
        Element.sum(machine.size, stride: chunk, range.count, parts + start, into: result + start)
      }
      if let across {
        try across.allReduce(UnsafeMutableBufferPointer(start: result + slice.lowerBound, count: slice.count), .sum)
      }
    }
    try memory.synchronize()
    copy(count, from: result, to: values)
  }

  private func copy<Element: SummedElement>(
    _ count: Int, from source: UnsafePointer<Element>, to target: UnsafeMutablePointer<Element>
  ) {
    pool.split(count, grain: 16, least: 1 << 14) { _, range in
      (target + range.lowerBound).update(from: source + range.lowerBound, count: range.count)
    }
  }
}

/// What `HierarchicalSum` can add.
package protocol SummedElement: Transferable, BitwiseCopyable {
  /// out = the sum of `arrays` arrays of `count` elements that begin `stride` elements apart.
  static func sum(
    _ arrays: Int, stride: Int, _ count: Int, _ values: UnsafePointer<Self>, into out: UnsafeMutablePointer<Self>)
}

extension Float: SummedElement {
  package static func sum(
    _ arrays: Int, stride: Int, _ count: Int, _ values: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    ck_sum_arrays(Int64(arrays), Int64(stride), Int64(count), values, out)
  }
}

extension Int64: SummedElement {
  package static func sum(
    _ arrays: Int, stride: Int, _ count: Int, _ values: UnsafePointer<Int64>, into out: UnsafeMutablePointer<Int64>
  ) {
    ck_sum_arrays_int64(Int64(arrays), Int64(stride), Int64(count), values, out)
  }
}
