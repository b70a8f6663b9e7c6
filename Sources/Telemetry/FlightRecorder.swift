import Glibc
import Synchronization

/// Keeps the last 1,000 phases and collectives of this rank in memory of a fixed size. The watchdog reports them when
/// ranks wait for each other, and traces are made of them.
///
/// Phases nest and belong to the thread that runs them. Recording a phase takes about as long as reading a clock twice,
/// and allocates nothing.
public enum FlightRecorder {
  /// Number of events that are kept.
  public static let capacity = 1000
  /// Number of communicators whose progress is kept.
  package static let communicatorLimit = RecorderState.communicatorLimit
  static let state = Mutex(RecorderState(capacity: capacity))

  /// The current optimizer step, numbered from 1 as in metrics.jsonl; 0 before the first.
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

  /// Begins a phase of this thread, which `end` ends.
  public static func begin(_ label: ActivityLabel) {
    let now = clock()
    state.withLock { state in
      guard let thread = state.currentThread() else { return }
      let depth = state.threads[thread].depth
      if depth < RecorderState.depthLimit {
        let event = FlightEvent(label: label, thread: thread, step: state.step, start: now)
        (state.threads[thread].phases + depth).initialize(to: event)
      }
      state.threads[thread].depth = depth + 1
    }
  }

  /// Ends the innermost phase of this thread.
  public static func end() {
    let now = clock()
    state.withLock { state in
      guard let thread = state.currentThread(), state.threads[thread].depth > 0 else { return }
      state.threads[thread].depth -= 1
      guard state.threads[thread].depth < RecorderState.depthLimit else { return }
      var event = state.threads[thread].phases[state.threads[thread].depth]
      event.end = now
      state.append(event)
    }
  }
}

/// Time.
extension FlightRecorder {
  /// Nanoseconds of the monotonic clock.
  package static func clock() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  package static func seconds(from start: UInt64, to end: UInt64) -> Double { Double(end &- start) / 1e9 }

  /// Nanoseconds to add to the monotonic clock to get nanoseconds since 1970.
  static func epochOffset() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) - Int64(clock())
  }
}

/// Collectives.
extension FlightRecorder {
  /// Records that this thread enters a collective. If the thread waits for a non-blocking collective, `started` is the
  /// number that `start` returned.
  ///
  /// - Returns: whether the collective is an outermost one; only these are recorded.
  package static func enter(_ call: CollectiveCall, _ log: CommunicatorLog, started: UInt64? = nil) -> Bool {
    let now = clock()
    return state.withLock { state in
      guard let thread = state.currentThread() else { return false }
      state.threads[thread].nesting += 1
      guard state.threads[thread].nesting == 1 else { return false }
      if started == nil { log.count(&state) }
      state.threads[thread].collective = FlightEvent(
        label: state.threads[thread].label, call: call, isWait: started != nil, communicator: log.id,
        number: started ?? log.entered, members: log.members, thread: thread, step: state.step, start: now)
      return true
    }
  }

  /// Counts a non-blocking collective of `log`'s communicator.
  ///
  /// - Returns: the number of the collective among those of the communicator.
  package static func start(_ log: CommunicatorLog) -> UInt64 {
    state.withLock { state in
      log.count(&state)
      return log.entered
    }
  }

  /// Records that this thread leaves the collective that it entered last.
  package static func leave() {
    let now = clock()
    state.withLock { state in
      guard let thread = state.currentThread(), state.threads[thread].nesting > 0 else { return }
      state.threads[thread].nesting -= 1
      guard state.threads[thread].nesting == 0 else { return }
      state.threads[thread].collective.end = now
      state.append(state.threads[thread].collective)
    }
  }
}

extension FlightRecorder {
  /// What this rank is doing now.
  package struct Snapshot: Sendable {
    package let time: UInt64
    package let step: Int
    /// The innermost phase of the thread that trains.
    package let phase: FlightEvent?
    /// Of the collectives that have not ended, the one that has lasted longest.
    package let collective: FlightEvent?
    /// Number of collectives entered so far, by the id of the communicator.
    package let progress: [UInt64: UInt64]
  }

  package static func snapshot() -> Snapshot {
    state.withLock { state in
      var progress: [UInt64: UInt64] = [:]
      for entry in 0..<RecorderState.communicatorLimit where state.progress[entry].communicator != 0 {
        progress[state.progress[entry].communicator] = state.progress[entry].entered
      }
      return Snapshot(
        time: clock(), step: state.step, phase: state.mainPhase, collective: state.longestCollective,
        progress: progress)
    }
  }
}
