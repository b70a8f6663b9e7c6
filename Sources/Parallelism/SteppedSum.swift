import MPI

/// A non-blocking `HierarchicalSum`, advanced by polling.
package struct SteppedSum {
  private let sum: HierarchicalSum
  private let buffer: UnsafeMutableBufferPointer<Float>
  /// Number of elements of `buffer` that are summed.
  private var done = 0
  /// The current chunk if ranks share memory, and the stage of the current chunk or part.
  private var chunk: HierarchicalSum.Chunk<Float>?
  private var stage = Stage.written
  private var transfer: PendingTransfer?

  /// What is complete when the current transfer ends.
  private enum Stage {
    /// All ranks of the machine have written their chunks.
    case written
    /// The reduce-scatter across machines (of a slice, or of a part of the buffer if ranks share no memory), and the
    /// all-gather that follows it.
    case scattered, gathered
    /// All ranks of the machine have summed their slices.
    case summed
  }

  /// Sends nothing before the first `advance`. Nobody may touch `buffer` until `advance` returns true.
  package init(_ sum: HierarchicalSum, _ buffer: UnsafeMutableBufferPointer<Float>) {
    self.sum = sum
    self.buffer = buffer
  }

  /// Advances as far as possible without waiting or, if `waits`, to the end.
  ///
  /// - Returns: whether `buffer` has the sum.
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
    let left = buffer.count - done
    if let memory = sum.memory {
      let stride = sum.chunkBytes / MemoryLayout<Float>.stride
      chunk = sum.put(values, min(stride, left), stride, memory)
      stage = .written
      transfer = try memory.startSynchronizing()
    } else {
      let piece = UnsafeMutableBufferPointer(start: values, count: min(HierarchicalSum.pieceLength, left))
      stage = .scattered
      transfer = try sum.network.scatter(piece)
    }
  }

  private mutating func goOn() throws(MPIError) {
    switch stage {
    case .written:
      guard let memory = sum.memory, let chunk else { return }
      memory.fence()
      let share = sum.addSlice(chunk)
      if sum.across != nil, !share.isEmpty {
        stage = .scattered
        transfer = try sum.network.scatter(share)
      } else {
        stage = .summed
        transfer = try memory.startSynchronizing()
      }
    case .scattered:
      stage = .gathered
      transfer = try sum.network.gather(sum.pool)
    case .gathered:
      if let memory = sum.memory {
        stage = .summed
        transfer = try memory.startSynchronizing()
      } else {
        done = min(buffer.count, done + HierarchicalSum.pieceLength)
      }
    case .summed:
      guard let memory = sum.memory, let chunk else { return }
      memory.fence()
      sum.copy(chunk.count, from: chunk.result, to: chunk.values)
      done += chunk.count
    }
  }
}
