internal import CMPI

/// What the recorder knows of one communicator, whichever object of this process stands for it.
final class CommunicatorLog: @unchecked Sendable {
  /// The same number on all its ranks, and another for every other communicator.
  let id: UInt64
  let members: RankRun
  /// Collectives entered so far; guarded by the recorder's lock.
  private(set) var entered: UInt64 = 0
  /// Where the recorder keeps the progress.
  private let place: Int?
  /// A communicator of the same ranks, over which debug mode compares calls; made at the first comparison.
  var shadow: MPI_Comm?

  /// - Parameter parent: nil for the world.
  init(_ handle: MPI_Comm?, parent: CommunicatorLog?) throws(MPIError) {
    let ranks = try Self.worldRanks(handle)
    members = RankRun(ranks)
    if let parent {
      // Ranks agree on how many collectives there were, the one that made this communicator included.
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for word in [parent.id, parent.entered, UInt64(ranks.first ?? 0), UInt64(ranks.count)] {
        hash = (hash ^ word) &* 0x100_0000_01b3
        hash ^= hash >> 29
      }
      id = max(2, hash)
    } else {
      id = 1
    }
    let id = id
    place = FlightRecorder.state.withLock { $0.reserve(id) }
  }

  deinit {
    if let place { FlightRecorder.state.withLock { $0.release(place) } }
    if shadow != nil, Environment.isRunning { MPI_Comm_free(&shadow) }
  }

  /// Counts one more collective.
  func count(_ state: inout RecorderState) {
    entered += 1
    if let place { state.progress[place].entered = entered }
  }

  /// The world's ranks of a communicator, in its own order.
  private static func worldRanks(_ handle: MPI_Comm?) throws(MPIError) -> [Int32] {
    var own: MPI_Group?
    var world: MPI_Group?
    var size: Int32 = 0
    try check(MPI_Comm_group(handle, &own), "MPI_Comm_group")
    defer { MPI_Group_free(&own) }
    try check(MPI_Comm_group(cmpi_comm_world(), &world), "MPI_Comm_group")
    defer { MPI_Group_free(&world) }
    try check(MPI_Group_size(own, &size), "MPI_Group_size")
    let ranks = (0..<size).map { $0 }
    var result = [Int32](repeating: 0, count: Int(size))
    try check(MPI_Group_translate_ranks(own, size, ranks, world, &result), "MPI_Group_translate_ranks")
    return result
  }
}
