import Glibc

/// The recorder's memory, of a fixed size: the last events, what each thread is in, and how far each communicator has
/// come. `FlightRecorder` guards it by a lock.
struct RecorderState: ~Copyable {
  /// One thread.
  struct Lane {
    let thread: pthread_t
    /// Phases that are open, outermost first; deeper ones are counted but not kept.
    let phases: UnsafeMutablePointer<FlightEvent>
    var depth = 0
    /// Collectives inside of each other (one that was split consists of others); the outermost counts.
    var nesting = 0
    var collective = FlightEvent(label: .none, start: 0)

    /// The innermost phase.
    var label: ActivityLabel { depth == 0 ? .none : phases[min(depth, RecorderState.deepest) - 1].label }
  }

  /// How many collectives of a communicator this rank has entered.
  struct Progress {
    var communicator: UInt64 = 0
    var entered: UInt64 = 0
  }

  static let deepest = 16
  static let laneLimit = 32
  static let communicatorLimit = 16

  let ring: UnsafeMutablePointer<FlightEvent>
  let capacity: Int
  /// Events so far; the last `capacity` of them are in the ring.
  var count = 0
  let lanes: UnsafeMutablePointer<Lane>
  var laneCount = 0
  let progress: UnsafeMutablePointer<Progress>
  var step = 0
  /// What a trace collects; nil while none is taken.
  var trace: [FlightEvent]?
  var traceStart: UInt64 = 0

  init(capacity: Int) {
    self.capacity = capacity
    ring = .allocate(capacity: capacity)
    lanes = .allocate(capacity: Self.laneLimit)
    progress = .allocate(capacity: Self.communicatorLimit)
    progress.initialize(repeating: Progress(), count: Self.communicatorLimit)
  }

  deinit {
    for lane in 0..<laneCount { lanes[lane].phases.deallocate() }
    ring.deallocate()
    lanes.deallocate()
    progress.deallocate()
  }

  /// The calling thread's lane; nil beyond `laneLimit` threads.
  mutating func lane() -> Int? {
    let thread = pthread_self()
    for lane in 0..<laneCount where lanes[lane].thread == thread { return lane }
    guard laneCount < Self.laneLimit else { return nil }
    (lanes + laneCount).initialize(to: Lane(thread: thread, phases: .allocate(capacity: Self.deepest)))
    laneCount += 1
    return laneCount - 1
  }

  mutating func append(_ event: FlightEvent) {
    (ring + count % capacity).initialize(to: event)
    count += 1
    if event.start >= traceStart { trace?.append(event) }
  }

  /// The events in the ring, oldest first.
  var events: [FlightEvent] { (max(0, count - capacity)..<count).map { ring[$0 % capacity] } }

  /// What is under way, thread by thread, outermost first.
  var open: [FlightEvent] {
    (0..<laneCount).flatMap { lane -> [FlightEvent] in
      let lane = lanes[lane]
      return (0..<min(lane.depth, Self.deepest)).map { lane.phases[$0] } + (lane.nesting > 0 ? [lane.collective] : [])
    }
  }

  /// The innermost phase of the first thread, which is the one that trains.
  var mainPhase: FlightEvent? {
    guard laneCount > 0, lanes[0].depth > 0 else { return nil }
    return lanes[0].phases[min(lanes[0].depth, Self.deepest) - 1]
  }

  /// A place for a communicator's progress; nil where all are taken.
  mutating func reserve(_ communicator: UInt64) -> Int? {
    guard let place = (0..<Self.communicatorLimit).first(where: { progress[$0].communicator == 0 }) else { return nil }
    progress[place] = Progress(communicator: communicator)
    return place
  }

  mutating func release(_ place: Int) { progress[place] = Progress() }
}
