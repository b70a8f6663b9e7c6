import Configuration
import Errors
import Formats
import Foundation
import Rollouts

extension Calibration {
  /// Rates from what `quillan bench train-step`, `decode`, `memory` and `mpi` print with `--json`; several in one file, a
  /// line each, will do. What they do not say stays as in `standard`, and is listed as assumed.
  ///
  /// - Throws: `DataError` naming file and line of what is no such result.
  public init(paths: [String]) throws {
    var result = Calibration.standard
    var seen: [String: String] = [:]
    var samples: [DecodingSample] = []
    // The memory's rate is needed to read training's.
    let results = try paths.flatMap(BenchmarkResult.read)
    for entry in results.filter(\.isMemory) + results.filter({ !$0.isMemory }) {
      seen[try result.take(entry, &samples)] = entry.path
    }
    if !samples.isEmpty { result.fitDecoding(samples) }
    try result.checkRates(seen)
    result.describe(seen)
    self = result
  }

  /// Takes one result; returns its kind.
  private mutating func take(_ result: BenchmarkResult, _ samples: inout [DecodingSample]) throws -> String {
    let rows = result.rows
    if result.members["library"] != nil {
      let ranks = try result.whole("ranks")
      guard ranks > 1, let last = rows.last, let bytes = last["bytes"]?.numberValue,
        let slow = last["wrapper_seconds"]?.numberValue, let short = rows.first?["wrapper_seconds"]?.numberValue,
        bytes > 0, slow > 0, short > 0
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
          1...1 << 24 ~= batch, let seconds = row["seconds"]?.numberValue, seconds > 0
        else { throw result.fault("has a row that is no batch") }
        samples.append(
          DecodingSample(
            work: work * Double(batch * tokens) / threads, bytes: bytes.bytes(batch: batch) * Double(tokens) / threads,
            seconds: seconds))
      }
      return "decode"
    }
    if let row = rows.first(where: BenchmarkResult.isMemoryPass), let rate = row["rate"]?.numberValue, rate > 0 {
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

  /// Refuses times so long or short that no rate follows: sampling and decoding may be free, nothing else.
  private func checkRates(_ files: [String: String]) throws {
    let rates = [training, update, memory, messages, messageLatency]
    let isGood = rates.allSatisfy { $0.isFinite && $0 > 0 } && [sampling, decoding].allSatisfy { $0 > 0 }
    guard let path = files.values.min(), !isGood else { return }
    throw DataError(
      file: path, problem: "its times and sizes give a rate that is not a number", remedy: "measure again")
  }

  /// Says each rate, and where it is from.
  private mutating func describe(_ files: [String: String]) {
    func giga(_ value: Double) -> String { FigureText.fixed(value / 1e9, 1) }
    let lines = [
      ("memory", "passes over tensors \(giga(memory)) GB a second and core"),
      (
        "train-step",
        "training \(giga(training)) G bfloat16 multiply-adds a second and core, updates at \(giga(update)) of the "
          + "counted speed"
      ),
      ("decode", "sampling \(giga(sampling)) G multiply-adds and \(giga(decoding)) GB of weights a second and core"),
      ("mpi", "messages within a host \(giga(messages)) GB a second, \(FigureText.fixed(messageLatency * 1e6, 1)) µs"),
    ]
    for (kind, text) in lines {
      if let file = files[kind] {
        measured.append("\(kind): \(text) (\(file))")
      } else {
        assumed.append("\(kind): \(text)")
      }
    }
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

  /// A whole number from 1 to 2²⁴: what benchmarks take, and small enough that products of three stay far below 2⁶³.
  func whole(_ name: String) throws -> Int {
    guard let value = members[name]?.integerValue, 1...1 << 24 ~= value else {
      throw fault("has no member '\(name)' from 1 to \(1 << 24)")
    }
    return value
  }
}
