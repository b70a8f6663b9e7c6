/// A phase or collective of a trace.
public struct TraceEvent: Sendable {
  /// `layer 2 forward`, `all-reduce gradients`.
  public let name: String
  public let isCollective: Bool
  /// Threads are numbered in the order in which they first record something.
  public let thread: Int
  public let step: Int
  /// Nanoseconds of this rank's monotonic clock.
  public let start: UInt64
  public let end: UInt64
  /// For a collective: the number of elements, their type (`float32`; nil if the collective moves none), and the call
  /// site.
  public let count: Int
  public let type: String?
  public let site: String
}

extension FlightRecorder {
  /// Starts to collect all events that begin from now on, in addition to keeping the last ones.
  public static func startTrace() {
    state.withLock {
      $0.trace = []
      $0.traceStart = clock()
    }
  }

  /// Ends the collection and returns the events in the order in which they ended.
  public static func takeTrace() -> [TraceEvent] {
    let events = state.withLock { state in
      defer { state.trace = nil }
      return state.trace ?? []
    }
    return events.map {
      TraceEvent(
        name: $0.title, isCollective: $0.call != nil, thread: $0.thread, step: $0.step, start: $0.start, end: $0.end,
        count: $0.call?.count ?? 0, type: $0.call?.elementType.map { "\($0)" }, site: $0.call.map { "\($0.site)" } ?? ""
      )
    }
  }
}
