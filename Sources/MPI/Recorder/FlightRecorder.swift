import Glibc
import Synchronization

/// Keeps the last 1,000 phases and collectives of this rank in memory of a fixed size: what `Watchdog` reports when ranks
/// wait for each other, and what a trace consists of.
///
/// Phases nest and belong to the thread that runs them. Recording one takes about as long as reading a clock twice.
public enum FlightRecorder {
  /// Events that are kept.
  public static let capacity = 1000
  static let state = Mutex(RecorderState(capacity: capacity))

  /// The optimizer step under way, numbered from 1 as in metrics.jsonl; 0 before the first.
  public static var step: Int {
    get { state.withLock { $0.step } }
    set { state.withLock { $0.step = newValue } }
  }

  /// Runs `body` as a phase.
  public static func phase<Result, Failure>(
    _ name: StaticString, _ number: Int? = nil, _ detail: StaticString = "", _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    begin(ActivityLabel(name, number, detail))
    defer { end() }
    return try body()
  }

  /// Begins a phase of this thread; `end` ends it.
  public static func begin(_ label: ActivityLabel) {
    let now = clock()
    state.withLock { state in
      guard let lane = state.lane() else { return }
      let depth = state.lanes[lane].depth
      if depth < RecorderState.deepest {
        let event = FlightEvent(label: label, lane: lane, step: state.step, start: now)
        (state.lanes[lane].phases + depth).initialize(to: event)
      }
      state.lanes[lane].depth = depth + 1
    }
  }

  /// Ends the innermost phase of this thread.
  public static func end() {
    let now = clock()
    state.withLock { state in
      guard let lane = state.lane(), state.lanes[lane].depth > 0 else { return }
      state.lanes[lane].depth -= 1
      guard state.lanes[lane].depth < RecorderState.deepest else { return }
      var event = state.lanes[lane].phases[state.lanes[lane].depth]
      event.end = now
      state.append(event)
    }
  }

  /// Nanoseconds of the monotonic clock.
  static func clock() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// What must be added to the monotonic clock's nanoseconds for those since 1970.
  static func epochOffset() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) - Int64(clock())
  }
}

extension FlightRecorder {
  /// Notes that this thread enters a collective of `log`'s communicator, or waits for one that was the `started`-th.
  ///
  /// - Returns: whether it is an outermost one, which alone is recorded.
  static func enter(
    _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite, _ log: CommunicatorLog,
    started: UInt64? = nil
  ) -> Bool {
    let now = clock()
    return state.withLock { state in
      guard let lane = state.lane() else { return false }
      state.lanes[lane].nesting += 1
      guard state.lanes[lane].nesting == 1 else { return false }
      if started == nil { log.count(&state) }
      state.lanes[lane].collective = FlightEvent(
        label: state.lanes[lane].label, operation: operation, type: type, count: count, site: site,
        isWait: started != nil, communicator: log.id, place: started ?? log.entered, members: log.members, lane: lane,
        step: state.step, start: now)
      return true
    }
  }

  /// Notes that a collective of `log`'s communicator is started without waiting for its end.
  ///
  /// - Returns: which of the communicator's collectives it is.
  static func start(_ log: CommunicatorLog) -> UInt64 {
    state.withLock { state in
      log.count(&state)
      return log.entered
    }
  }

  /// Notes that this thread leaves the collective that it entered last.
  static func leave() {
    let now = clock()
    state.withLock { state in
      guard let lane = state.lane(), state.lanes[lane].nesting > 0 else { return }
      state.lanes[lane].nesting -= 1
      guard state.lanes[lane].nesting == 0 else { return }
      state.lanes[lane].collective.end = now
      state.append(state.lanes[lane].collective)
    }
  }
}

extension Communicator {
  /// Runs `body`, which makes one collective, under the eyes of the recorder and, in debug mode, after a comparison of
  /// what all ranks are about to call.
  package func recorded<Result>(
    _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite,
    _ body: () throws(MPIError) -> Result
  ) throws(MPIError) -> Result {
    let isOutermost = FlightRecorder.enter(operation, count, type, site, log)
    defer { FlightRecorder.leave() }
    if isOutermost, CollectiveCheck.isOn { try CollectiveCheck.compare(self, operation, count, type, site) }
    return try body()
  }
}
