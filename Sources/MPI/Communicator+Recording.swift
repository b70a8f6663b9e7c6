internal import CMPI
import Telemetry

extension Communicator {
  /// Runs `body`, which calls one collective. The flight recorder records the call. In debug mode, all ranks first
  /// compare their calls.
  package func recorded<Result>(
    _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite,
    _ body: () throws(MPIError) -> Result
  ) throws(MPIError) -> Result {
    let isOutermost = FlightRecorder.enter(CollectiveCall(operation, count, type, site), log)
    defer { FlightRecorder.leave() }
    if isOutermost, CollectiveCheck.isOn { try CollectiveCheck.compare(self, operation, count, type, site) }
    return try body()
  }

  /// The world ranks of a communicator, in its own order.
  static func worldRanks(_ handle: MPI_Comm?) throws(MPIError) -> [Int32] {
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

  /// The difference between rank 0's monotonic clock and this rank's, in nanoseconds, and the maximum error of the
  /// difference: half the round-trip time of the fastest message. Collective.
  ///
  /// Each rank asks rank 0 for its time `rounds` times and uses the fastest answer (Cristian, "Probabilistic Clock
  /// Synchronization", 1989).
  public func clockOffset(rounds: Int = 20) throws(MPIError) -> (nanoseconds: Int64, error: Int64) {
    let tag = 1
    var best: (offset: Int64, error: Int64) = (0, rank == 0 ? 0 : .max)
    for other in 1..<max(1, size) {
      for _ in 0..<rounds {
        if rank == 0 {
          _ = try receive(UInt8.self, count: 1, from: other, tag: tag)
          try send([FlightRecorder.clock()], to: other, tag: tag)
        } else if rank == other {
          let sent = FlightRecorder.clock()
          try send([0] as [UInt8], to: 0, tag: tag)
          let remote = try receive(UInt64.self, count: 1, from: 0, tag: tag)[0]
          let received = FlightRecorder.clock()
          let error = Int64(received - sent) / 2
          if error < best.error { best = (Int64(remote) - Int64(sent) - error, error) }
        }
      }
    }
    return (best.offset, best.error)
  }
}

/// A non-blocking collective that has started: the flight recorder has counted it, and records the wait for its end.
package struct StartedCollective {
  private let log: CommunicatorLog
  private let call: CollectiveCall
  private let number: UInt64

  /// In debug mode, all ranks first compare the calls that they are about to start.
  package init(
    _ communicator: Communicator, _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?,
    _ site: CallSite
  ) throws(MPIError) {
    log = communicator.log
    call = CollectiveCall(operation, count, type, site)
    number = FlightRecorder.start(log)
    if CollectiveCheck.isOn { try CollectiveCheck.compare(communicator, operation, count, type, site) }
  }

  /// Runs `body`, which waits for the end of the collective.
  package func wait<Result>(_ body: () throws(MPIError) -> Result) throws(MPIError) -> Result {
    _ = FlightRecorder.enter(call, log, started: number)
    defer { FlightRecorder.leave() }
    return try body()
  }
}

extension CollectiveCall {
  init(_ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite) {
    self.init(operation.kind.name, count: count, elementType: type?.name, site: site)
  }
}

/// A communicator of the same ranks, over which debug mode compares calls. The first comparison creates it.
final class ShadowCommunicator: @unchecked Sendable {
  var handle: MPI_Comm?

  deinit { if handle != nil, Environment.isRunning { MPI_Comm_free(&handle) } }
}
