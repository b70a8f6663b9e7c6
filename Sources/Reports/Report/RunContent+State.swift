import Foundation
import Rollouts

/// The kind, progress and state of a run.
extension RunContent {
  /// The state of a run.
  enum State: Equatable {
    case finished
    /// A signal stopped the run; it can be resumed.
    case stopped
    case failed
    /// No end is recorded: the run is in progress or the process was killed.
    case open
  }

  var isReinforcement: Bool {
    if let phase = sessions.last?.start.phase { return phase == "train" }
    return lines.contains { $0.members["reward"] != nil }
  }

  /// The last step with training metrics.
  var lastStep: Int { lines.last { $0.members["learning_rate"] != nil }?.step ?? lines.map(\.step).max() ?? 0 }

  /// The number of steps of the whole run, if known.
  var totalSteps: Int? {
    sessions.last?.start.total
      ?? configuration.first { $0.key == (isReinforcement ? "rl.num_epochs" : "pretrain.steps") }.flatMap {
        Int($0.value)
      }
  }

  var state: State {
    guard let last = sessions.last else { return hasWeights ? .finished : .open }
    switch last.end?.outcome {
    case .finished: return .finished
    case .stopped: return .stopped
    case .failed: return .failed
    case nil: return .open
    }
  }

  /// The start of the first session.
  var started: Date? { sessions.first?.start.time }

  /// The total duration of all sessions; a session without an end counts up to the last metrics.
  var seconds: Double? {
    guard !sessions.isEmpty else {
      let times = points("step_time").map(\.y)
      return times.isEmpty ? nil : times.reduce(0, +)
    }
    let starts = sessions.dropFirst().map(\.start.time) + [lastWritten ?? .distantFuture]
    return zip(sessions, starts).reduce(0) { sum, part in
      let end = part.0.end?.time ?? min(part.1, lastWritten ?? part.0.start.time)
      return sum + max(0, end.timeIntervalSince(part.0.start.time))
    }
  }

  /// A metric of the evaluations: the first, last and best value.
  struct Progress {
    let first: Double?
    let last: (step: Int, value: Double)
    let best: (step: Int, value: Double)
  }

  /// - Parameter lowIsGood: whether smaller values are better.
  func progress(_ metric: String, lowIsGood: Bool) -> Progress? {
    let points = points(metric)
    guard let last = points.last, var best = points.first else { return nil }
    for point in points where lowIsGood ? point.y < best.y : point.y > best.y { best = point }
    let first = points.count > 1 ? points[0].y : nil
    return Progress(first: first, last: (Int(last.x), last.y), best: (Int(best.x), best.y))
  }
}
