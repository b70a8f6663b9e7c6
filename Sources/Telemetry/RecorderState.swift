import Glibc

/// The recorder's memory, of a fixed size: the last events, what each thread is doing, and the number of collectives
/// that each communicator has entered. `FlightRecorder` guards it by a lock.
struct RecorderState: ~Copyable {
  /// What one thread is doing.
  struct ThreadState {
    let thread: pthread_t
    /// Open phases, outermost first; phases nested more deeply are counted but not kept.
    let phases: UnsafeMutablePointer<FlightEvent>
    var depth = 0
    /// Number of collectives open inside each other (a collective that was split consists of others); only the
    /// outermost is recorded.
    var nesting = 0
    var collective = FlightEvent(label: .none, start: 0)

    /// The innermost phase.
    var label: ActivityLabel { depth == 0 ? .none : phases[min(depth, RecorderState.depthLimit) - 1].label }
  }

  /// Number of collectives of a communicator that this rank has entered.
  struct Progress {
    var communicator: UInt64 = 0
    var entered: UInt64 = 0
  }

  static let depthLimit = 16
  static let threadLimit = 32
  static let communicatorLimit = 16

  let ring: UnsafeMutablePointer<FlightEvent>
  let capacity: Int
  /// Number of events so far; the last `capacity` of them are in the ring.
  var count = 0
  let threads: UnsafeMutablePointer<ThreadState>
  var threadCount = 0
  let progress: UnsafeMutablePointer<Progress>
  var step = 0
  /// The events of the trace; nil if no trace is being collected.
  var trace: [FlightEvent]?
  var traceStart: UInt64 = 0

  init(capacity: Int) {
    self.capacity = capacity
    ring = .allocate(capacity: capacity)
    threads = .allocate(capacity: Self.threadLimit)
    progress = .allocate(capacity: Self.communicatorLimit)
    progress.initialize(repeating: Progress(), count: Self.communicatorLimit)
  }

  deinit {
    for thread in 0..<threadCount { threads[thread].phases.deallocate() }
    ring.deallocate()
    threads.deallocate()
    progress.deallocate()
  }

  /// The index of the calling thread; nil beyond `threadLimit` threads.
  mutating func currentThread() -> Int? {
    let current = pthread_self()
    for thread in 0..<threadCount where threads[thread].thread == current { return thread }
    guard threadCount < Self.threadLimit else { return nil }
    (threads + threadCount).initialize(to: ThreadState(thread: current, phases: .allocate(capacity: Self.depthLimit)))
    threadCount += 1
    return threadCount - 1
  }

  mutating func append(_ event: FlightEvent) {
    (ring + count % capacity).initialize(to: event)
    count += 1
    if event.start >= traceStart { trace?.append(event) }
  }

  /// The events in the ring, oldest first.
  var events: [FlightEvent] { (max(0, count - capacity)..<count).map { ring[$0 % capacity] } }

  /// The events that have not ended, thread by thread, outermost first.
  var open: [FlightEvent] {
    (0..<threadCount).flatMap { index -> [FlightEvent] in
      let thread = threads[index]
      return (0..<min(thread.depth, Self.depthLimit)).map { thread.phases[$0] }
        + (thread.nesting > 0 ? [thread.collective] : [])
    }
  }

  /// The innermost phase of the first thread, which is the one that trains.
  var mainPhase: FlightEvent? {
    guard threadCount > 0, threads[0].depth > 0 else { return nil }
    return threads[0].phases[min(threads[0].depth, Self.depthLimit) - 1]
  }

  /// The collective that has lasted longest.
  var longestCollective: FlightEvent? {
    (0..<threadCount).filter { threads[$0].nesting > 0 }.map { threads[$0].collective }.min { $0.start < $1.start }
  }

  /// Reserves an entry of `progress`; nil if the table is full.
  mutating func reserve(_ communicator: UInt64) -> Int? {
    guard let free = (0..<Self.communicatorLimit).first(where: { progress[$0].communicator == 0 }) else { return nil }
    progress[free] = Progress(communicator: communicator)
    return free
  }

  mutating func release(_ entry: Int) { progress[entry] = Progress() }
}
