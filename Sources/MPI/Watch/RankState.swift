import Telemetry

/// What a rank is doing, as ranks tell each other several times a second.
package struct RankState: Sendable, Equatable {
  /// A collective that the rank is waiting in.
  package struct Waiting: Sendable, Equatable {
    /// `all-to-all layer 2 forward`.
    package var title: String
    package var seconds: Double
    /// The communicator's id and world ranks, and the number of the collective among those of the communicator.
    package var communicator: UInt64
    package var members: StridedRanks
    package var number: UInt64

    package init(title: String, seconds: Double, communicator: UInt64, members: StridedRanks, number: UInt64) {
      self.title = title
      self.seconds = seconds
      self.communicator = communicator
      self.members = members
      self.number = number
    }
  }

  package var rank: Int
  package var step = 0
  /// The innermost phase; empty outside all phases.
  package var phase = ""
  package var phaseSeconds = 0.0
  package var waiting: Waiting?
  /// Number of collectives entered so far, by communicator.
  package var progress: [UInt64: UInt64] = [:]
  /// Whether the collective has lasted longer than `parallel.timeout`.
  package var isExpired = false
  /// Whether this rank was asked (SIGQUIT) to have the states of all ranks printed.
  package var wantsReport = false

  package init(rank: Int) { self.rank = rank }

  /// What the rank is doing, as text.
  package var activity: String {
    if let waiting { return "in \(waiting.title)" }
    return phase.isEmpty ? "outside all phases" : phase
  }
}

extension RankState {
  /// The state of this rank, from a snapshot of its flight recorder.
  package init(rank: Int, _ snapshot: FlightRecorder.Snapshot) {
    self.init(rank: rank)
    step = snapshot.step
    progress = snapshot.progress
    if let event = snapshot.phase, event.label.isActivity {
      phase = event.label.text
      phaseSeconds = FlightRecorder.seconds(from: event.start, to: snapshot.time)
    }
    if let event = snapshot.collective {
      waiting = Waiting(
        title: event.title, seconds: FlightRecorder.seconds(from: event.start, to: snapshot.time),
        communicator: event.communicator, members: event.members, number: event.number)
    }
  }
}
