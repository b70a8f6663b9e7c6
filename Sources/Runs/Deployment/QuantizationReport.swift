import Errors
import Formats
import Foundation
import LowBit
import Models
import Parameters
import Reports
import Rollouts
import Tensors

/// The errors of packed weights relative to their fp32 masters.
public struct QuantizationReport: Sendable {
  /// The errors of a tensor.
  public struct Row: Sendable, Equatable {
    public let name: String
    public let format: NumberFormat
    /// ‖Ŵ − W‖ / ‖W‖, 0 if W is zero.
    public let relativeError: Double
    /// max |Ŵ − W|
    public let largestError: Double
  }

  public let rows: [Row]

  /// Compares every linear weight of `packed` with `masters`; computes in double.
  public init(_ masters: ParameterStore, _ packed: PackedModel, pool: WorkerPool) {
    let linear: [(ParameterID, NumberFormat)] = masters.table.ids.compactMap { id in
      guard case .linear(let format) = masters.table[id].role else { return nil }
      return (id, format)
    }
    let results = Results(linear.count)
    pool.each(linear.count) { _, number in
      let (id, format) = linear[number]
      results.rows[number] = Self.row(masters.table[id], format, masters.pointer(id), packed.weights(id))
    }
    rows = results.rows.compactMap { $0 }
  }

  private static func row(
    _ specification: ParameterSpecification, _ format: NumberFormat, _ master: UnsafePointer<Float>,
    _ weights: PackedWeights
  ) -> Row {
    let values = UnsafeMutablePointer<Float>.allocate(capacity: weights.columns)
    defer { values.deallocate() }
    var (difference, norm, largest) = (0.0, 0.0, 0.0)
    for row in 0..<weights.count * weights.rows {
      weights.unpack(row / weights.rows, rows: row % weights.rows..<row % weights.rows + 1, into: values)
      for column in 0..<weights.columns {
        let exact = Double(master[row * weights.columns + column])
        let error = Double(values[column]) - exact
        difference += error * error
        norm += exact * exact
        largest = max(largest, abs(error))
      }
    }
    return Row(
      name: specification.name, format: format, relativeError: norm > 0 ? (difference / norm).squareRoot() : 0,
      largestError: largest)
  }

  /// A table with one line for all tensors whose names differ only in numbers (layers, blocks, mini-MoEs): their count,
  /// mean and maximum errors.
  public var text: String {
    var order: [String] = []
    var groups: [String: [Row]] = [:]
    for row in rows {
      let pattern = row.name.split(separator: ".").map { Int($0) == nil ? String($0) : "*" }.joined(separator: ".")
      if groups[pattern] == nil { order.append(pattern) }
      groups[pattern, default: []].append(row)
    }
    var table = Table(
      ["weights", "tensors", "format", "relative error", "worst", "largest error"],
      alignments: [.left, .right, .left, .right, .right, .right])
    for pattern in order {
      let rows = groups[pattern] ?? []
      let errors = rows.map(\.relativeError)
      table.add([
        pattern, "\(rows.count)", rows[0].format.rawValue,
        FigureText.fixed(errors.reduce(0, +) / Double(rows.count), 5), FigureText.fixed(errors.max() ?? 0, 5),
        String(format: "%.2e", rows.map(\.largestError).max() ?? 0),
      ])
    }
    return table.text
  }

  /// Every tensor.
  public var json: JSONValue {
    .list(
      rows.map {
        .object([
          "name": .text($0.name), "format": .text($0.format.rawValue), "relative_error": .number($0.relativeError),
          "largest_error": .number($0.largestError),
        ])
      })
  }

  /// An element per tensor, written by the worker that compares it.
  private final class Results: @unchecked Sendable {
    let rows: UnsafeMutableBufferPointer<Row?>
    init(_ count: Int) {
      rows = .allocate(capacity: count)
      rows.initialize(repeating: nil)
    }
    deinit {
      rows.deinitialize()
      rows.deallocate()
    }
  }
}

extension EvaluationReport {
  /// The measurements by name.
  public var figures: [String: Double] {
    var figures: [String: Double] = [:]
    for task in tasks {
      figures["\(task.task) exact match, \(task.mode)"] = task.exactMatch
      figures["\(task.task) reward, \(task.mode)"] = task.reward
    }
    if let corpus {
      figures["bits per byte"] = corpus.bitsPerByte
      figures["perplexity per token"] = exp(corpus.crossEntropy)
    }
    return figures
  }
}
