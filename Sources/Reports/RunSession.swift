import Configuration
import Formats
import Foundation
import Rollouts

/// One process lifetime of a run: from the start or a resume to the end.
public struct RunSession: Sendable, Equatable {
  /// The end of a session.
  public enum Outcome: String, Sendable {
    /// All steps were completed.
    case finished
    /// A signal stopped it.
    case stopped
    /// An error ended it.
    case failed
  }

  /// The state at the start of a session.
  public struct Start: Sendable, Equatable {
    public var time: Date
    /// The program version.
    public var program: String
    /// `pretrain` or `train`.
    public var phase: String
    public var ranks: Int
    /// Threads per rank.
    public var threads: Int
    public var parameters: Int
    /// Steps completed before the session.
    public var done: Int
    /// Steps of the whole run.
    public var total: Int

    public init(
      time: Date = Date(), program: String = ProgramVersion.text, phase: String, ranks: Int, threads: Int,
      parameters: Int, done: Int, total: Int
    ) {
      self.time = time
      self.program = program
      self.phase = phase
      self.ranks = ranks
      self.threads = threads
      self.parameters = parameters
      self.done = done
      self.total = total
    }
  }

  public let start: Start
  /// Time, outcome and completed steps at the end of the session; nil while it runs or if the process was killed.
  public internal(set) var end: (time: Date, outcome: Outcome, step: Int)?

  public static func == (a: RunSession, b: RunSession) -> Bool {
    a.start == b.start && a.end?.time == b.end?.time && a.end?.outcome == b.end?.outcome && a.end?.step == b.end?.step
  }
}

// MARK: The file

extension RunSession {
  /// A session from the members of a start line; nil if the line is not one.
  init?(_ members: [String: JSONValue]) {
    guard members["event"]?.textValue == "start", let time = Self.time(members),
      let phase = members["phase"]?.textValue, let total = members["steps"]?.integerValue
    else { return nil }
    start = Start(
      time: time, program: members["program"]?.textValue ?? "", phase: phase,
      ranks: members["ranks"]?.integerValue ?? 0, threads: members["threads"]?.integerValue ?? 0,
      parameters: members["parameters"]?.integerValue ?? 0, done: members["step"]?.integerValue ?? 0, total: total)
  }

  /// The sessions of the lines of `sessions.jsonl`; other lines are ignored.
  static func sessions(_ lines: [[String: JSONValue]]) -> [RunSession] {
    var result: [RunSession] = []
    for members in lines {
      if let session = RunSession(members) { result.append(session) }
      if members["event"]?.textValue == "end", let last = result.indices.last, let time = time(members),
        let outcome = members["outcome"]?.textValue.flatMap(Outcome.init), let step = members["step"]?.integerValue
      {
        result[last].end = (time, outcome, step)
      }
    }
    return result
  }

  private static func time(_ members: [String: JSONValue]) -> Date? {
    members["time"]?.textValue.flatMap { try? Date($0, strategy: .iso8601) }
  }

  /// Writes `sessions.jsonl`: a line at the start and a line at the end of each session, after the header
  /// `{"format":"quillan-sessions","version":1}`.
  package final class Writer {
    private let file: JSONLinesFile
    package private(set) var isOpen = true

    package init(path: String, _ start: Start) throws(ReportError) {
      file = try JSONLinesFile(path: path, format: "quillan-sessions")
      try file.append([
        "event": .text("start"), "time": .text(start.time.formatted(.iso8601)), "program": .text(start.program),
        "phase": .text(start.phase), "ranks": .integer(start.ranks), "threads": .integer(start.threads),
        "parameters": .integer(start.parameters), "step": .integer(start.done), "steps": .integer(start.total),
      ])
      try file.synchronize()
    }

    /// Writes the end of the session; further calls have no effect.
    package func end(_ outcome: Outcome, step: Int, time: Date = Date()) throws(ReportError) {
      guard isOpen else { return }
      isOpen = false
      try file.append([
        "event": .text("end"), "time": .text(time.formatted(.iso8601)), "outcome": .text(outcome.rawValue),
        "step": .integer(step),
      ])
      try file.synchronize()
    }
  }
}
