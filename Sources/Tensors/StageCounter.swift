import Synchronization

/// The stages of a parallel region: all threads of the region run the same code, take the parts of each stage one after
/// another, and go on when the stage is complete.
///
/// A thread that comes late finds the first stages complete and passes them.
struct StageCounter: ~Copyable {
  /// Number of parts of all stages that have been taken, and that have been completed.
  private let taken = Atomic<Int>(0)
  private let completed = Atomic<Int>(0)

  func reset() {
    taken.store(0, ordering: .relaxed)
    completed.store(0, ordering: .relaxed)
  }

  /// Takes parts of the stage with `count` parts behind the `first` parts of earlier stages; returns when all are
  /// complete. `body` gets the part's number in the stage.
  func run(_ count: Int, after first: Int, _ body: (Int) -> Void) {
    var next = taken.load(ordering: .acquiring)
    while next < first + count {
      let attempt = taken.compareExchange(expected: next, desired: next + 1, ordering: .acquiringAndReleasing)
      next = attempt.original
      guard attempt.exchanged else { continue }
      body(next - first)
      completed.add(1, ordering: .releasing)
      next = taken.load(ordering: .acquiring)
    }
    SpinWait.until { completed.load(ordering: .acquiring) >= first + count }
  }
}
