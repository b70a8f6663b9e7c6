import Files
import Glibc

/// The recorder's content as a file: `flight-rank-N.json`, format `quillan-flight-record`, version 1.
package struct FlightRecord {
  let rank: Int
  let ranks: Int
  /// Why the file is written, in one line.
  let reason: String
  /// Seconds that a collective may take; 0 if there is no limit.
  let timeout: Int
  private let events: [FlightEvent]
  private let open: [FlightEvent]
  private let recorded: Int
  private let step: Int
  private let now = FlightRecorder.clock()
  private let epoch = FlightRecorder.epochOffset()

  /// Copies what the recorder holds now.
  package init(rank: Int, ranks: Int, timeout: Int, reason: String) {
    self.rank = rank
    self.ranks = ranks
    self.timeout = timeout
    self.reason = reason
    (events, open, recorded, step) = FlightRecorder.state.withLock { ($0.events, $0.open, $0.count, $0.step) }
  }

  /// Writes the file to `directory`, and creates the directory if it is missing (on a machine that shares no file
  /// system).
  ///
  /// - Returns: the path; nil if the file could not be written.
  package func write(to directory: String) -> String? {
    for end in directory.indices where directory[end] == "/" { mkdir(String(directory[..<end]), 0o777) }
    mkdir(directory, 0o777)
    let path = "\(directory)/flight-rank-\(rank).json"
    do throws(OutputError) {
      let file = try OutputFile(path, .own)
      try file.append(text.utf8)
      try file.commit()
    } catch { return nil }
    return path
  }

  /// The content of the file, one event per line.
  package var text: String {
    var host = [CChar](repeating: 0, count: 256)
    gethostname(&host, host.count - 1)
    let name = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let members = [
      "\"format\": \"quillan-flight-record\"", "\"version\": 1", "\"rank\": \(rank)", "\"ranks\": \(ranks)",
      "\"host\": \(Self.quoted(name))", "\"process\": \(getpid())", "\"reason\": \(Self.quoted(reason))",
      "\"timeout\": \(timeout)", "\"time\": \(time(now))", "\"step\": \(step)", "\"recorded\": \(recorded)",
      "\"under_way\": \(list(open))", "\"events\": \(list(events))",
    ]
    return "{\n" + members.joined(separator: ",\n") + "\n}\n"
  }

  private func list(_ events: [FlightEvent]) -> String {
    events.isEmpty ? "[]" : "[\n" + events.map(object).joined(separator: ",\n") + "\n]"
  }

  private func object(_ event: FlightEvent) -> String {
    var members = ["\"kind\": \"\(event.call == nil ? "phase" : event.isWait ? "wait" : "collective")\""]
    members.append("\"label\": \(Self.quoted(event.label.text))")
    if let call = event.call {
      members.append("\"operation\": \"\(call.operation)\"")
      members.append("\"count\": \(call.count)")
      members.append("\"type\": \(call.elementType.map { "\"\($0)\"" } ?? "null")")
      members.append("\"communicator\": \"\(String(event.communicator, radix: 16))\"")
      members.append("\"place\": \(event.number)")
      members.append("\"site\": \(Self.quoted("\(call.site)"))")
    }
    members += ["\"thread\": \(event.thread)", "\"step\": \(event.step)", "\"start\": \(time(event.start))"]
    members.append("\"end\": \(event.end == 0 ? "null" : time(event.end))")
    return "{" + members.joined(separator: ", ") + "}"
  }

  /// Seconds since 1970 with microseconds.
  private func time(_ clock: UInt64) -> String {
    let microseconds = (Int64(clock) + epoch) / 1000
    let fraction = String(microseconds % 1_000_000)
    return "\(microseconds / 1_000_000).\(String(repeating: "0", count: 6 - fraction.utf8.count))\(fraction)"
  }

  /// A JSON string.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case _ where scalar.value < 32: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
