import Errors

/// The result of a benchmark for one operation.
public struct BenchmarkRow: Sendable {
  public let operation: String
  /// Median seconds of one run of the operation.
  public let seconds: Double
  /// Work of one run, in `unit`.
  public let work: Double
  public let unit: Unit
  /// The name and rate (units per second) of the limit; nil if there is none.
  public let limit: (name: String, rate: Double)?

  /// The unit of work.
  public enum Unit: String, Sendable {
    /// Multiplications and additions, counted separately.
    case operations
    /// Bytes read and written.
    case bytes
    case tokens
  }

  public init(
    _ operation: String, seconds: Double, work: Double, unit: Unit, limit: (name: String, rate: Double)? = nil
  ) {
    self.operation = operation
    self.seconds = seconds
    self.work = work
    self.unit = unit
    self.limit = limit
  }

  /// Units per second.
  public var rate: Double { work / seconds }
  /// The rate as a fraction of the rate of the limit.
  public var fraction: Double? { limit.map { rate / $0.rate } }

  /// The rate with its unit.
  public var rateText: String {
    switch unit {
    case .operations: "\(FigureText.fixed(rate / 1e9, 1)) GF/s"
    case .bytes: "\(FigureText.fixed(rate / 1e9, 1)) GB/s"
    case .tokens: "\(FigureText.fixed(rate, rate < 100 ? 1 : 0)) tokens/s"
    }
  }
}
