import Configuration
import Errors
import Formats
import Foundation
import Rollouts

extension Calibration {
  /// Reads rates from the output of `quillan bench train-step`, `decode`, `memory` and `mpi` with `--json`. A file may have
  /// several results, one a line. Rates without a result keep the value in `standard` and are listed as assumed.
  ///
  /// - Throws: `DataError` with the file and line of an unusable result.
  public init(paths: [String]) throws {
    var result = Calibration.standard
    var seen: [String: String] = [:]
    var samples: [DecodingSample] = []
    // The training rate depends on the memory rate, so memory results come first.
    let results = try paths.flatMap(BenchmarkResult.read)
    for entry in results.filter(\.isMemory) + results.filter({ !$0.isMemory }) {
      seen[try result.add(entry, &samples)] = entry.path
    }
    if !samples.isEmpty { result.fitDecoding(samples) }
    try result.checkRates(seen)
    result.describe(seen)
    self = result
  }

  /// Adds one result and returns its kind.
  private mutating func add(_ result: BenchmarkResult, _ samples: inout [DecodingSample]) throws -> String {
    let rows = result.rows
    if result.members["library"] != nil {
      let ranks = try result.whole("ranks")
      guard ranks > 1, let last = rows.last, let bytes = last["bytes"]?.numberValue,
        let slow = last["wrapper_seconds"]?.numberValue, let short = rows.first?["wrapper_seconds"]?.numberValue,
        bytes > 0, slow > 0, short > 0
      else { throw result.fault("'bench mpi' on one rank, or without rows") }
      // A sum over n ranks moves 2(n − 1) times the buffer.
      messages = 2 * Double(ranks - 1) * bytes / slow
      messageLatency = short / (2 * Double(ranks - 1))
      return "mpi"
    }
    let threads = Double(try result.whole("threads"))
    if let passes = result.seconds("  forward and backward"), let update = result.seconds("  optimizer and packing") {
      guard try result.whole("ranks") == 1 else { throw result.fault("'bench train-step' on several ranks") }
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
        else { throw result.fault("a row of 'bench decode' has no batch size and positive time") }
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
    throw result.fault("not a benchmark result that a plan can use")
  }

  /// Fits the two rates of decoding in seconds = bytes/decoding + work/sampling by least squares of relative errors.
  /// If the fit makes one rate negative, the other rate alone explains the times.
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

  /// Rejects times that give rates of 0, infinity or NaN; only sampling and decoding may be infinite (free).
  private func checkRates(_ files: [String: String]) throws {
    let rates = [training, update, memory, messages, messageLatency]
    let isGood = rates.allSatisfy { $0.isFinite && $0 > 0 } && [sampling, decoding].allSatisfy { $0 > 0 }
    guard let path = files.values.min(), !isGood else { return }
    throw DataError(
      file: path, problem: "times and sizes give a rate that is zero or not finite", remedy: "measure again")
  }

  /// Describes each rate and its source.
  private mutating func describe(_ files: [String: String]) {
    func giga(_ value: Double) -> String { FigureText.fixed(value / 1e9, 1) }
    let lines = [
      ("memory", "passes over tensors \(giga(memory)) GB per second and core"),
      (
        "train-step",
        "training \(giga(training)) G bfloat16 multiply-adds per second and core, updates at \(giga(update)) times the "
          + "standard speed"
      ),
      ("decode", "sampling \(giga(sampling)) G multiply-adds and \(giga(decoding)) GB of weights per second and core"),
      (
        "mpi", "messages within a host \(giga(messages)) GB per second, \(FigureText.fixed(messageLatency * 1e6, 1)) µs"
      ),
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

/// A measurement of decoding on one core.
private struct DecodingSample {
  /// Work as counted by `ModelWork`.
  let work: Double
  /// Bytes of weights read.
  let bytes: Double
  let seconds: Double
}

/// One line of a file of benchmark results.
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
        remedy: "give a file that 'quillan bench … --json' wrote")
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
        "use the output of 'quillan bench train-step', 'decode' or 'memory' on one rank, or 'mpi' on several, with --json"
    )
  }

  func seconds(_ operation: String) -> Double? {
    rows.first { $0["operation"]?.textValue == operation }?["seconds"]?.numberValue.flatMap { $0 > 0 ? $0 : nil }
  }

  func configuration() throws -> RunConfiguration {
    guard let text = members["configuration"]?.textValue else {
      throw fault("no member 'configuration': an earlier version of the program wrote the result")
    }
    return try RunConfiguration.parse(yaml: text, file: "\(path):\(line)")
  }

  /// An integer from 1 to 2²⁴: the range that benchmarks accept, so that products of three do not overflow.
  func whole(_ name: String) throws -> Int {
    guard let value = members[name]?.integerValue, 1...1 << 24 ~= value else {
      throw fault("no member '\(name)' from 1 to \(1 << 24)")
    }
    return value
  }
}
