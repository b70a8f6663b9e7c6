import Foundation
import Rollouts

extension Calibration {
  /// Rates from what `quillan bench train-step`, `decode`, `memory` and `mpi` print with `--json`; several in one file, a
  /// line each, will do. What they do not say stays as in `standard`, and is listed as assumed.
  ///
  /// - Throws: `DataError` naming file and line of what is no such result.
  public init(paths: [String]) throws {
    var result = Calibration.standard
    var seen: Set<String> = []
    var samples: [DecodingSample] = []
    // The memory's rate is needed to read training's.
    let results = try paths.flatMap(BenchmarkResult.read)
    for entry in results.filter(\.isMemory) + results.filter({ !$0.isMemory }) {
      let kind = try result.take(entry, &samples)
      seen.insert(kind)
      result.measured.append("\(kind): \(entry.path)")
    }
    if !samples.isEmpty { result.fitDecoding(samples) }
    result.assume(without: seen)
    self = result
  }

  /// Takes one result; returns its kind.
  private mutating func take(_ result: BenchmarkResult, _ samples: inout [DecodingSample]) throws -> String {
    let rows = result.rows
    if result.members["library"] != nil {
      let ranks = try result.whole("ranks")
      guard ranks > 1, let last = rows.last, let bytes = last["bytes"]?.numberValue,
        let slow = last["wrapper_seconds"]?.numberValue, let short = rows.first?["wrapper_seconds"]?.numberValue
      else { throw result.fault("is 'bench mpi' on one rank, or without rows") }
      // A sum over n ranks moves 2(n − 1) times the buffer.
      messages = 2 * Double(ranks - 1) * bytes / slow
      messageLatency = short / (2 * Double(ranks - 1))
      return "mpi"
    }
    let threads = Double(try result.whole("threads"))
    if let passes = result.seconds("  forward and backward"), let update = result.seconds("  optimizer and packing") {
      guard try result.whole("ranks") == 1 else { throw result.fault("is 'bench train-step' on several ranks") }
      let configuration = try result.configuration()
      let parameters = try ParameterPlan(configuration.model, configuration.precision)
      let length = try result.whole("sequence_length")
      let work = ModelWork(configuration, positions: Double(length + 1) / 2)
      let predicted = Double(max(0, length - min(8, length - 1))) / Double(length)
      let amount =
        Double(try result.whole("tokens"))
        * work.training(predicted: predicted, recomputed: configuration.rl.gradientCheckpointing)
      let bytes = StepPlan.passBytes(held: parameters.storeCount) * Double(configuration.rl.accumulationSteps)
      training = amount / threads / max(0.1 * passes, passes - bytes / memory / threads)
      self.update =
        UpdateWork.of(held: parameters.storeCount, updated: parameters.storeCount, configuration) / update / threads
      return "train-step"
    }
    if rows.contains(where: { $0["operation"]?.textValue?.hasPrefix("decode, batch ") == true }) {
      let configuration = try result.configuration()
      let parameters = try ParameterPlan(configuration.model, configuration.precision)
      let (prompt, tokens) = (try result.whole("prompt_length"), try result.whole("tokens"))
      let work = ModelWork(configuration, positions: Double(prompt) + Double(tokens) / 2).sampling
      let bytes = DecodingBytes(configuration, parameters)
      for row in rows {
        guard let name = row["operation"]?.textValue, let batch = Int(name.dropFirst("decode, batch ".count)),
          let seconds = row["seconds"]?.numberValue
        else { throw result.fault("has a row that is no batch") }
        samples.append(
          DecodingSample(
            work: work * Double(batch * tokens) / threads, bytes: bytes.bytes(batch: batch) * Double(tokens) / threads,
            seconds: seconds))
      }
      return "decode"
    }
    if let row = rows.first(where: BenchmarkResult.isMemoryPass), let rate = row["rate"]?.numberValue {
      memory = rate / threads
      return "memory"
    }
    throw result.fault("is not a result that a plan can use")
  }

  /// Finds the two rates of decoding: seconds = bytes/decoding + work/sampling, by least squares of relative errors.
  /// Where a rate would not be positive, the other alone explains the times.
  private mutating func fitDecoding(_ samples: [DecodingSample]) {
    var (ww, wb, bb, w1, b1) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for sample in samples {
      let (w, b) = (sample.work / sample.seconds, sample.bytes / sample.seconds)
      ww += w * w
      wb += w * b
      bb += b * b
      w1 += w
      b1 += b
    }
    let determinant = ww * bb - wb * wb
    let perWork = (w1 * bb - b1 * wb) / determinant
    let perByte = (b1 * ww - w1 * wb) / determinant
    if determinant > 1e-9 * ww * bb, perWork > 0, perByte > 0 {
      (sampling, decoding) = (1 / perWork, 1 / perByte)
    } else if perByte > 0, determinant > 1e-9 * ww * bb {
      (sampling, decoding) = (.infinity, bb / b1)
    } else {
      (sampling, decoding) = (ww / w1, .infinity)
    }
  }

  private mutating func assume(without seen: Set<String>) {
    func line(_ kind: String, _ text: String) {
      if !seen.contains(kind) { assumed.append("\(text) (no bench \(kind))") }
    }
    func giga(_ value: Double) -> String { FigureText.fixed(value / 1e9, 1) }
    line(
      "train-step",
      "training \(giga(training)) G bfloat16 multiply-adds, update \(giga(update)) ns of work a nanosecond and core")
    line("decode", "sampling \(giga(sampling)) G multiply-adds and \(giga(decoding)) GB of weights a second and core")
    line("memory", "passes over tensors \(giga(memory)) GB a second and core")
    line("mpi", "messages within a host \(giga(messages)) GB a second, \(FigureText.fixed(messageLatency * 1e6, 1)) µs")
  }
}

/// Seconds of decoding on one core, with what they went into.
private struct DecodingSample {
  let work: Double
  let bytes: Double
  let seconds: Double
}

/// A line of a file of benchmark results.
private struct BenchmarkResult {
  let path: String
  let line: Int
  let members: [String: JSONValue]
  var rows: [[String: JSONValue]] { (members["rows"]?.listValue ?? []).compactMap(\.objectValue) }
  var isMemory: Bool { rows.contains(where: Self.isMemoryPass) }

  static func isMemoryPass(_ row: [String: JSONValue]) -> Bool {
    row["operation"]?.textValue == "fixed-point addition"
  }

  static func read(_ path: String) throws -> [BenchmarkResult] {
    let text: String
    do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw DataError(
        file: path, problem: "cannot be read (\(error.localizedDescription))",
        remedy: "name a file that 'quillan bench … --json' wrote")
    }
    return try text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      .filter { !$0.element.allSatisfy(\.isWhitespace) }
      .map { index, line in
        let members = (try? JSONValue.parse(line.utf8))?.objectValue
        let result = BenchmarkResult(path: path, line: index + 1, members: members ?? [:])
        if members == nil { throw result.fault("not the JSON of a benchmark") }
        return result
      }
  }

  func fault(_ problem: String) -> DataError {
    DataError(
      file: path, line: line, problem: problem,
      remedy:
        "write it with 'quillan bench train-step', 'decode', 'memory' or 'mpi' and --json, on one rank but for mpi")
  }

  func seconds(_ operation: String) -> Double? {
    rows.first { $0["operation"]?.textValue == operation }?["seconds"]?.numberValue.flatMap { $0 > 0 ? $0 : nil }
  }

  func configuration() throws -> RunConfiguration {
    guard let text = members["configuration"]?.textValue else {
      throw fault("has no member 'configuration': an earlier version of the program wrote it")
    }
    return try RunConfiguration.parse(yaml: text, file: "\(path):\(line)")
  }

  func whole(_ name: String) throws -> Int {
    guard let value = members[name]?.integerValue, value > 0 else { throw fault("has no member '\(name)'") }
    return value
  }
}
