import MPI

/// A `HierarchicalSum` that is begun and ended by looks at it between other work of the thread.
package struct SteppedSum {
  private let sum: HierarchicalSum
  private let buffer: UnsafeMutableBufferPointer<Float>
  /// The elements of `buffer` that are summed.
  private var done = 0
  /// The chunk under way where ranks share memory, and the stage of that or of the piece.
  private var chunk: HierarchicalSum.Chunk<Float>?
  private var stage = Stage.written
  private var transfer: PendingTransfer?

  /// What ends with the transfer under way.
  private enum Stage {
    /// All ranks of the machine write their chunk.
    case written
    /// A slice, or a piece of ranks that share no memory, is on its way to other machines; then its sum is.
    case scattered, gathered
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
