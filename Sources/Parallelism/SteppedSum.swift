import MPI

/// A non-blocking `HierarchicalSum`, advanced by polling.
package struct SteppedSum: ~Copyable {
  private let sum: HierarchicalSum
  private let buffer: UnsafeMutableBufferPointer<Float>
  private let owners: MemoryOwners
  /// Number of elements of `buffer` that are summed.
  private var done = 0
  /// The current chunk if ranks share memory, and the stage of the current chunk or part.
  private var chunk: HierarchicalSum.Chunk<Float>?
  private var stage = Stage.written
  private var transfer: PolledTransfer?

  /// The operation that the current transfer completes.
  private enum Stage {
    /// All ranks of the machine have written their chunks.
    case written
    /// The reduce-scatter across machines (of a slice, or of a part of the buffer if ranks share no memory), and the
    /// all-gather that follows it.
    case scattered, gathered
    /// All ranks of the machine have summed their slices.
    case summed
  }

  /// Sends nothing before the first `advance`. Do not access `buffer` until `advance` returns true.
  ///
  /// - Parameter owner: the object that owns the memory of `buffer`. If the sum is dropped before its end, the owner is
  ///   never freed, because MPI may still write to the memory.
  package init(_ sum: HierarchicalSum, _ buffer: UnsafeMutableBufferPointer<Float>, owner: AnyObject) {
    self.sum = sum
    self.buffer = buffer
    owners = MemoryOwners(buffer: owner, workspace: sum)
  }

  /// Advances as far as possible without waiting or, if `waits`, to the end.
  ///
  /// - Returns: whether `buffer` has the sum.
  package mutating func advance(waits: Bool) throws(MPIError) -> Bool {
    guard let base = buffer.baseAddress, sum.communicator.size > 1 else { return true }
    while done < buffer.count {
      if transfer == nil {
        try startChunk(base + done)
      } else {
        guard try transfer?.advance(waits: waits) ?? true else { return false }
        transfer = nil
        try startNextStage()
      }
    }
    return true
  }

  private mutating func startChunk(_ values: UnsafeMutablePointer<Float>) throws(MPIError) {
    let left = buffer.count - done
    if let memory = sum.memory {
      let stride = sum.chunkBytes / MemoryLayout<Float>.stride
      chunk = sum.put(values, min(stride, left), stride, memory)
      stage = .written
      transfer = try memory.startSynchronizing(keeping: owners)
    } else {
      let part = UnsafeMutableBufferPointer(start: values, count: min(HierarchicalSum.partLength, left))
      stage = .scattered
      transfer = try sum.network.scatter(part, keeping: owners)
    }
  }

  private mutating func startNextStage() throws(MPIError) {
    switch stage {
    case .written:
      guard let memory = sum.memory, let chunk else { return }
      memory.fence()
      let slice = sum.addSlice(chunk)
      if sum.across != nil, !slice.isEmpty {
        stage = .scattered
        transfer = try sum.network.scatter(slice, keeping: owners)
      } else {
        stage = .summed
        transfer = try memory.startSynchronizing(keeping: owners)
      }
    case .scattered:
      stage = .gathered
      transfer = try sum.network.gather(sum.pool, keeping: owners)
    case .gathered:
      if let memory = sum.memory {
        stage = .summed
        transfer = try memory.startSynchronizing(keeping: owners)
      } else {
        done = min(buffer.count, done + HierarchicalSum.partLength)
      }
    case .summed:
      guard let memory = sum.memory, let chunk else { return }
      memory.fence()
      sum.copy(chunk.count, from: chunk.result, to: chunk.values)
      done += chunk.count
    }
  }
}
