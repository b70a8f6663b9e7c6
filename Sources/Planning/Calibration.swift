import Configuration

/// The speed of the cores and messages of a machine, from which a plan predicts the time of a step.
///
/// Rates are per core; a rank with t threads has t times the rate. `ModelWork` counts the work.
public struct Calibration: Sendable, Equatable {
  /// Work per second of training passes.
  public var training: Double
  /// Work per second of sampling.
  public var sampling: Double
  /// Bytes of weights that sampling reads per second.
  public var decoding: Double
  /// Bytes per second of passes over whole tensors.
  public var memory: Double
  /// `UpdateWork` per second.
  public var update: Double
  /// Bytes per second of messages within one host, over all its ranks.
  public var messages: Double
  /// Latency of a message within a host, in seconds.
  public var messageLatency: Double
  /// Measured rates and their files, one line each.
  public internal(set) var measured: [String] = []
  /// Assumed rates, one line each.
  public internal(set) var assumed: [String]

  /// One core of an AMD EPYC with AVX-512 (<doc:Planning> has the measurements).
  public static let standard = Calibration(
    training: 50e9, sampling: 40e9, decoding: 15e9, memory: 20e9, update: 1e9, messages: 4.8e9, messageLatency: 2e-6,
    assumed: [])

  init(
    training: Double, sampling: Double, decoding: Double, memory: Double, update: Double, messages: Double,
    messageLatency: Double, assumed: [String]
  ) {
    self.training = training
    self.sampling = sampling
    self.decoding = decoding
    self.memory = memory
    self.update = update
    self.messages = messages
    self.messageLatency = messageLatency
    self.assumed = assumed
  }
}

/// The cost of the update in nanoseconds of one core per value: AdamW with fp32 moments 0.6, with 8-bit moments 0.8,
/// packing 0.4 (<doc:Benchmarks>).
enum UpdateWork {
  /// - Parameters:
  ///   - held: number of values that the rank packs.
  ///   - updated: number of values whose moments the rank holds.
  static func of(held: Int, updated: Int, _ configuration: RunConfiguration) -> Double {
    (configuration.optimizer.state == .fp32 ? 0.6 : 0.8) * Double(updated) + 0.4 * Double(held)
  }
}
