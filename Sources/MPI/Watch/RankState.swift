/// Where a rank is, as ranks tell each other several times a second.
package struct RankState: Sendable, Equatable {
  /// A collective under way.
  package struct Waiting: Sendable, Equatable {
    /// `all-to-all layer 2 forward`.
    package var title: String
    package var seconds: Double
    /// The communicator's number, its ranks in the world, and which of its collectives it is.
    package var communicator: UInt64
    package var members: RankRun
    package var place: UInt64

    package init(title: String, seconds: Double, communicator: UInt64, members: RankRun, place: UInt64) {
      self.title = title
      self.seconds = seconds
      self.communicator = communicator
      self.members = members
      self.place = place
    }
  }

  package var rank: Int
  package var step = 0
  /// The innermost phase; empty outside of all.
  package var phase = ""
  package var phaseSeconds = 0.0
  package var waiting: Waiting?
  /// The collectives entered so far, by communicator.
  package var progress: [UInt64: UInt64] = [:]
  /// Whether the collective is older than `parallel.timeout`.
  package var isExpired = false
  /// Whether this rank was asked (SIGQUIT) to have all ranks' places printed.
  package var wantsReport = false

  package init(rank: Int) { self.rank = rank }

  /// Where it is, in words.
  package var place: String {
    if let waiting { return "in \(waiting.title)" }
    return phase.isEmpty ? "outside of all phases" : phase
  }
}

extension FlightRecorder {
  /// Where this rank is now.
  package static func rankState(rank: Int) -> RankState {
    var result = RankState(rank: rank)
    let (now, collective, phase) = state.withLock { state -> (UInt64, FlightEvent?, FlightEvent?) in
      result.step = state.step
      for place in 0..<RecorderState.communicatorLimit where state.progress[place].communicator != 0 {
        result.progress[state.progress[place].communicator] = state.progress[place].entered
      }
      let waiting = (0..<state.laneCount).filter { state.lanes[$0].nesting > 0 }
        .map { state.lanes[$0].collective }.min { $0.start < $1.start }
      return (clock(), waiting, state.mainPhase)
    }
    if let phase, phase.label.isPlace {
      result.phase = phase.label.text
      result.phaseSeconds = seconds(from: phase.start, to: now)
    }
    if let collective {
      result.waiting = RankState.Waiting(
        title: collective.title, seconds: seconds(from: collective.start, to: now),
        communicator: collective.communicator, members: collective.members, place: collective.place)
    }
    return result
  }

  static func seconds(from start: UInt64, to end: UInt64) -> Double { Double(end &- start) / 1e9 }
}
