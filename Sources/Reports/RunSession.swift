import Configuration
import Formats
import Foundation
import Rollouts

/// One time that the program worked on a run: from its start, or from a resume, to its end.
public struct RunSession: Sendable, Equatable {
  /// How a session ended.
  public enum Outcome: String, Sendable {
    /// All steps were made.
    case finished
    /// A signal stopped it.
    case stopped
    /// An error ended it.
    case failed
  }

  /// What a session starts with.
  public struct Start: Sendable, Equatable {
    public var time: Date
    /// The version of the program.
    public var program: String
    /// `pretrain` or `train`.
    public var phase: String
    public var ranks: Int
    /// Threads of a rank.
    public var threads: Int
    public var parameters: Int
    /// Steps made before the session, and steps that the whole run is to make.
    public var done: Int
    public var total: Int

    /// A start.
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
  /// When and how it ended, and the steps of the run by then; nil while it goes on, and if it was cut off.
  public internal(set) var end: (time: Date, outcome: Outcome, step: Int)?

  public static func == (a: RunSession, b: RunSession) -> Bool {
    a.start == b.start && a.end?.time == b.end?.time && a.end?.outcome == b.end?.outcome && a.end?.step == b.end?.step
  }
}

// MARK: The file

extension RunSession {
  /// The sessions of `sessions.jsonl`, from the members of its lines. Lines of another shape are left out.
  init?(_ members: [String: JSONValue]) {
    guard members["event"]?.textValue == "start", let time = Self.time(members),
      let phase = members["phase"]?.textValue, let total = members["steps"]?.integerValue
    else { return nil }
    start = Start(
      time: time, program: members["program"]?.textValue ?? "", phase: phase,
      ranks: members["ranks"]?.integerValue ?? 0, threads: members["threads"]?.integerValue ?? 0,
      parameters: members["parameters"]?.integerValue ?? 0, done: members["step"]?.integerValue ?? 0, total: total)
  }

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

  /// Writes `sessions.jsonl`: a line at the start of a session and a line at its end, after a header
  /// `{"format":"quillan-sessions","version":1}`.
  package final class Writer {
    private let file: JSONLinesFile
    private(set) var isOpen = true

    package init(path: String, _ start: Start) throws(ReportError) {
      file = try JSONLinesFile(path: path, format: "quillan-sessions")
      try file.append([
        "event": .text("start"), "time": .text(start.time.formatted(.iso8601)), "program": .text(start.program),
        "phase": .text(start.phase), "ranks": .integer(start.ranks), "threads": .integer(start.threads),
        "parameters": .integer(start.parameters), "step": .integer(start.done), "steps": .integer(start.total),
      ])
      try file.synchronize()
    }

    /// Says how the session ended; further calls change nothing.
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
