import MPI

/// A `HierarchicalSum` that is begun and ended by looks at it between other work of the thread.
package struct SteppedSum {
  private let sum: HierarchicalSum
  private let buffer: UnsafeMutableBufferPointer<Float>
  /// The elements of `buffer` that are summed.
  private var done = 0
  /// The chunk under way, in this stage.
  private var chunk: HierarchicalSum.Chunk<Float>?
  private var stage = Stage.written
  private var transfer: PendingTransfer?

  /// What ends with the transfer under way.
  private enum Stage {
    /// All ranks of the machine write their chunk.
    case written
    /// A slice, or a chunk of ranks that share no memory, is summed with other machines' ones.
    case across
    /// All ranks of the machine sum their slice.
    case summed
  }

  /// Nothing is sent before the first `advance`. Nobody may touch `buffer` until the end.
  package init(_ sum: HierarchicalSum, _ buffer: UnsafeMutableBufferPointer<Float>) {
    self.sum = sum
    self.buffer = buffer
  }

  /// Goes as far as it can without waiting or, with `waits`, to the end.
  ///
  /// - Returns: whether `buffer` is the sum.
  package mutating func advance(waits: Bool) throws(MPIError) -> Bool {
    guard let base = buffer.baseAddress, sum.communicator.size > 1 else { return true }
    while done < buffer.count {
      if transfer == nil {
        try begin(base + done)
      } else {
        guard try transfer?.end(waits: waits) ?? true else { return false }
        transfer = nil
        try goOn()
      }
    }
    return true
  }

  private mutating func begin(_ values: UnsafeMutablePointer<Float>) throws(MPIError) {
    let stride = sum.chunkBytes / MemoryLayout<Float>.stride
    let count = min(stride, buffer.count - done)
    guard let memory = sum.memory else {
      stage = .across
      transfer = try sum.communicator.startAllReduce(UnsafeMutableBufferPointer(start: values, count: count), .sum)
      return
    }
    chunk = sum.put(values, count, stride, memory)
    stage = .written
    transfer = try memory.startSynchronizing()
  }

  private mutating func goOn() throws(MPIError) {
    guard let memory = sum.memory, let chunk else {
      done = min(buffer.count, done + sum.chunkBytes / MemoryLayout<Float>.stride)
      return
    }
    switch stage {
    case .written:
      memory.fence()
      let share = sum.addSlice(chunk)
      if let across = sum.across, !share.isEmpty {
        stage = .across
        transfer = try across.startAllReduce(share, .sum)
      } else {
        stage = .summed
        transfer = try memory.startSynchronizing()
      }
    case .across:
      stage = .summed
      transfer = try memory.startSynchronizing()
    case .summed:
      memory.fence()
      sum.copy(chunk.count, from: chunk.result, to: chunk.values)
      done += chunk.count
    }
  }
}
