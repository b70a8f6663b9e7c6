/// A phase or collective that a trace has collected.
public struct TraceEvent: Sendable {
  /// What happened: `layer 2 forward`, `all-reduce gradients`.
  public let name: String
  public let isCollective: Bool
  /// The thread, numbered as threads appear.
  public let thread: Int
  public let step: Int
  /// Nanoseconds of this rank's monotonic clock.
  public let start: UInt64
  public let end: UInt64
  /// Of a collective: elements, their type and where it was called.
  public let count: Int
  public let type: TransferType?
  public let site: String
}

extension FlightRecorder {
  /// Collects all events that begin from now on, besides keeping the last ones.
  public static func startTrace() {
    state.withLock {
      $0.trace = []
      $0.traceStart = clock()
    }
  }

  /// Ends the collection and returns it, in the order in which events ended.
  public static func takeTrace() -> [TraceEvent] {
    let events = state.withLock { state in
      defer { state.trace = nil }
      return state.trace ?? []
    }
    return events.map {
      TraceEvent(
        name: $0.title, isCollective: $0.operation != nil, thread: $0.lane, step: $0.step, start: $0.start,
        end: $0.end, count: $0.count, type: $0.type, site: $0.operation == nil ? "" : "\($0.site)")
    }
  }
}

extension Communicator {
  /// What must be added to this rank's monotonic clock for rank 0's, in nanoseconds, and half of the fastest message's
  /// time there and back, within which it is right. Collective.
  ///
  /// Each rank asks rank 0 for its time several times over; the fastest answer counts (Cristian, 1989).
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
          let there = try receive(UInt64.self, count: 1, from: 0, tag: tag)[0]
          let back = FlightRecorder.clock()
          let error = Int64(back - sent) / 2
          if error < best.error { best = (Int64(there) - Int64(sent) - error, error) }
        }
      }
    }
    return (best.offset, best.error)
  }
}
