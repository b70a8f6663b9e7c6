import Errors
import Formats
import Foundation
import MPI
import Reports
import Rollouts
import Telemetry

/// A trace of some steps of a run in the format of Chrome and Perfetto: all ranks on rank 0's clock, one process per
/// rank, one row per thread, nested phases and collectives.
public final class RunTrace {
  /// The steps that `--trace` requests.
  public struct Request: Sendable, Equatable {
    public let steps: ClosedRange<Int>

    /// Nil if `text` is not `steps=FIRST-LAST` or `steps=N`, counted from 1.
    public init?(_ text: String) {
      let parts = text.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "steps" else { return nil }
      let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first >= 1, last >= first else {
        return nil
      }
      steps = first...last
    }
  }

  private let communicator: Communicator
  private let request: Request
  private let path: String
  /// Whether this rank has delivered its part of the trace.
  private(set) var isTaken = false
  private var clock: (nanoseconds: Int64, error: Int64)?

  /// - Parameter path: the file, which only rank 0 writes.
  init(_ request: Request, path: String, _ communicator: Communicator) {
    self.request = request
    self.path = path
    self.communicator = communicator
  }

  /// Starts recording before the first requested step. Collective.
  func begin(step: Int) throws {
    guard request.steps.contains(step), clock == nil else { return }
    clock = try communicator.clockOffset()
    try communicator.barrier()
    FlightRecorder.startTrace()
  }

  /// Writes the file after the last requested step, or after the last step of the run. Collective.
  ///
  /// - Returns: The file's path, on rank 0 if the file was written; otherwise nil.
  func end(step: Int, isLast: Bool) throws -> String? {
    guard let clock, step == request.steps.upperBound || (isLast && request.steps.contains(step)) else { return nil }
    self.clock = nil
    isTaken = true
    let events = FlightRecorder.takeTrace()
    let first = events.map { Int64($0.start) + clock.nanoseconds }.min() ?? .max
    let origin = try communicator.allReduce(first, .minimum)
    let error = try communicator.allReduce(clock.error, .maximum)
    let lines = metadata(events) + events.map { line($0, clock.nanoseconds - origin) }
    let parts = try communicator.gatherv(Array(lines.joined(separator: ",\n").utf8), to: 0)
    guard let parts else { return nil }
    let about = JSONValue.object([
      "format": .text("quillan-trace"), "version": .integer(1), "ranks": .integer(communicator.size),
      "first_step": .integer(request.steps.lowerBound), "last_step": .integer(step),
      "clock_error_nanoseconds": .integer(Int(error)),
    ])
    var bytes = Array("{\"displayTimeUnit\": \"ms\", \"otherData\": \(about.serialized), \"traceEvents\": [\n".utf8)
    bytes += Array(parts.joined(separator: Array(",\n".utf8)))
    bytes += Array("\n]}\n".utf8)
    try AtomicFile.write(bytes, to: path)
    return path
  }

  /// Names of the rank and its threads.
  private func metadata(_ events: [TraceEvent]) -> [String] {
    let rank = communicator.rank
    var lines = [
      #"{"ph": "M", "name": "process_name", "pid": \#(rank), "args": {"name": "rank \#(rank)"}}"#,
      #"{"ph": "M", "name": "process_sort_index", "pid": \#(rank), "args": {"sort_index": \#(rank)}}"#,
    ]
    for thread in Set(events.map(\.thread)).sorted() {
      lines.append(
        #"{"ph": "M", "name": "thread_name", "pid": \#(rank), "tid": \#(thread), "args": {"name": "thread \#(thread)"}}"#
      )
    }
    return lines
  }

  /// A complete event; times in microseconds since the trace's first event.
  private func line(_ event: TraceEvent, _ shift: Int64) -> String {
    let start = Double(Int64(event.start) + shift) / 1000
    let duration = Double(event.end - event.start) / 1000
    var arguments = #""step": \#(event.step)"#
    if event.isCollective {
      let type = event.type.map { #""\#($0)""# } ?? "null"
      arguments += #", "count": \#(event.count), "type": \#(type), "site": "\#(event.site)""#
    }
    return #"{"ph": "X", "name": "\#(event.name)", "cat": "\#(event.isCollective ? "collective" : "phase")", "#
      + #""pid": \#(communicator.rank), "tid": \#(event.thread), "ts": \#(FigureText.fixed(start, 3)), "#
      + #""dur": \#(FigureText.fixed(duration, 3)), "args": {\#(arguments)}}"#
  }
}
