import CKernels
import MPI
import Telemetry
import Tensors

/// All-reduce in two levels: through shared memory within a machine, then across machines.
///
/// The buffer is processed in chunks. Every rank of a machine writes its chunk to shared memory, adds one slice of all
/// chunks in rank order, all-reduces that slice with its counterparts on the other machines, and reads the result. Each
/// element crosses the network once per machine, and memory twice per rank. Open MPI's all-reduce, which copies 32 KiB
/// at a time, took 6.3 s for the 2.05 GB of the 511M model on two ranks of one machine.
package final class HierarchicalSum {
  /// Bytes of a rank's chunk. Blocking sums use 256 KiB so that two chunks and the result fit in L2; polled sums use 4
  /// MiB to need fewer polls.
  package static let chunkBytes = (blocking: 256 << 10, polled: 4 << 20)
  let chunkBytes: Int
  let communicator: Communicator
  private let machine: Communicator
  /// This rank's counterparts on the other machines. Nil if there is only one machine, or if some machine has fewer
  /// ranks.
  let across: Communicator?
  /// Number of ranks of a machine that each add a slice: the rank count of the smallest machine.
  private let slices: Int
  let memory: SharedMemory?
  let pool: WorkerPool
  /// Transfers of non-blocking sums across machines, in parts of `partLength` elements if ranks share no memory.
  private(set) lazy var network = NetworkSum(
    across ?? communicator, largest: memory == nil ? Self.partLength : chunkBytes / MemoryLayout<Float>.stride)
  static let partLength = 4 << 20

  /// Collective.
  ///
  /// - Parameter machine: the ranks that share memory with this one.
  package init(
    _ communicator: Communicator, machine: Communicator, chunkBytes: Int = HierarchicalSum.chunkBytes.blocking,
    pool: WorkerPool
  ) throws(MPIError) {
    self.communicator = communicator
    self.machine = machine
    self.chunkBytes = chunkBytes
    self.pool = pool
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
    let shared = try SharedMemory(machine, byteCount: (machine.size + 1) * chunkBytes)
    memory = try communicator.allReduce(Int32(shared == nil ? 0 : 1), .minimum) == 1 ? shared : nil
  }

  /// Replaces `buffer` on every rank by the sum over all ranks. Collective; equal lengths.
  package func callAsFunction<Element: SummedElement>(
    _ buffer: UnsafeMutableBufferPointer<Element>, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    guard communicator.size > 1, let memory, let base = buffer.baseAddress else {
      if communicator.size > 1 { try communicator.allReduce(buffer, .sum, file: file, line: line) }
      return
    }
    try communicator.recorded(.sum, buffer.count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      let length = chunkBytes / MemoryLayout<Element>.stride
      for first in stride(from: 0, to: buffer.count, by: length) {
        let chunk = put(base + first, min(length, buffer.count - first), length, memory)
        try memory.synchronize()
        let slice = addSlice(chunk)
        if let across, !slice.isEmpty { try across.allReduce(slice, .sum) }
        try memory.synchronize()
        copy(chunk.count, from: chunk.result, to: chunk.values)
      }
    }
  }

  /// A chunk of the caller's buffer and the shared memory in which it is summed.
  struct Chunk<Element: SummedElement> {
    let values: UnsafeMutablePointer<Element>
    let count: Int
    /// The chunks of all ranks of the machine, and their sum.
    let parts: UnsafeMutablePointer<Element>
    let stride: Int
    let result: UnsafeMutablePointer<Element>
  }

  /// Copies a chunk to shared memory, where the other ranks of the machine read it.
  func put<Element: SummedElement>(
    _ values: UnsafeMutablePointer<Element>, _ count: Int, _ stride: Int, _ memory: SharedMemory
  ) -> Chunk<Element> {
    let parts = memory.base.bindMemory(to: Element.self, capacity: (machine.size + 1) * stride)
    copy(count, from: values, to: parts + machine.rank * stride)
    return Chunk(
      values: values, count: count, parts: parts, stride: stride, result: parts + machine.size * stride)
  }

  /// Adds this rank's slice of the machine's chunks.
  func addSlice<Element: SummedElement>(_ chunk: Chunk<Element>) -> UnsafeMutableBufferPointer<Element> {
    guard machine.rank < slices else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
    let slice = WorkerPool.part(machine.rank, of: slices, count: chunk.count, grain: 16)
    pool.split(slice.count, grain: 16, least: 1 << 14) { _, range in
      let start = slice.lowerBound + range.lowerBound
      Element.sum(machine.size, stride: chunk.stride, range.count, chunk.parts + start, into: chunk.result + start)
    }
    return UnsafeMutableBufferPointer(start: chunk.result + slice.lowerBound, count: slice.count)
  }

  func copy<Element: SummedElement>(
    _ count: Int, from source: UnsafePointer<Element>, to target: UnsafeMutablePointer<Element>
  ) {
    pool.split(count, grain: 16, least: 1 << 14) { _, range in
      (target + range.lowerBound).update(from: source + range.lowerBound, count: range.count)
    }
  }
}

/// An element type that `HierarchicalSum` can add.
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
