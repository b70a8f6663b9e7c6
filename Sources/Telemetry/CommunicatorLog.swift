/// The recorder's entry for one communicator. All objects of this process that stand for the communicator share it.
package final class CommunicatorLog: @unchecked Sendable {
  /// The same number on all ranks of the communicator, and a different one for every other communicator.
  package let id: UInt64
  /// World ranks.
  package let members: StridedRanks
  /// Number of collectives entered so far; guarded by the recorder's lock.
  private(set) var entered: UInt64 = 0
  /// Index in the recorder's `progress`; nil if the table was full.
  private let entry: Int?

  /// - Parameters:
  ///   - ranks: the world ranks of the communicator, in its order.
  ///   - parent: the communicator that this one was made from; nil for the world.
  package init(ranks: [Int32], parent: CommunicatorLog?) {
    members = StridedRanks(ranks)
    var id: UInt64 = 1
    if let parent {
      // All ranks have entered the same number of the parent's collectives, the one that made this communicator
      // included, so they compute the same id without a message.
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for word in [parent.id, parent.entered, UInt64(ranks.first ?? 0), UInt64(ranks.count)] {
        hash = (hash ^ word) &* 0x100_0000_01b3
        hash ^= hash >> 29
      }
      id = max(2, hash)
    }
    self.id = id
    entry = FlightRecorder.state.withLock { $0.reserve(id) }
  }

  deinit {
    if let entry { FlightRecorder.state.withLock { $0.release(entry) } }
  }

  /// Counts one more collective.
  func count(_ state: inout RecorderState) {
    entered += 1
    if let entry { state.progress[entry].entered = entered }
  }
}
