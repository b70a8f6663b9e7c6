import Configuration

/// What cores and messages of a machine achieve, so that a step's time can be predicted from its arithmetic and bytes.
///
/// Rates are of one core; a rank of t threads has t times as much. Work is counted as in `ModelWork`.
public struct Calibration: Sendable, Equatable {
  /// Work a second of training passes.
  public var training: Double
  /// Work a second of sampling.
  public var sampling: Double
  /// Bytes of weights a second that sampling reads.
  public var decoding: Double
  /// Bytes a second of passes over whole tensors.
  public var memory: Double
  /// Values a second of the update, counted by `UpdateWork`.
  public var update: Double
  /// Bytes a second that messages between ranks of one host move, over all ranks.
  public var messages: Double
  /// Seconds of a short message within a host.
  public var messageLatency: Double
  /// Where measured figures come from, one line each.
  public internal(set) var measured: [String] = []
  /// What is assumed instead, one line each.
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

/// The update of a value counted in nanoseconds of one core: AdamW with fp32 moments 0.6, with 8-bit moments 0.8,
/// packing 0.4 (<doc:Benchmarks>).
enum UpdateWork {
  /// - Parameters:
  ///   - held: values that a rank packs.
  ///   - updated: values whose moments it keeps.
  static func of(held: Int, updated: Int, _ configuration: RunConfiguration) -> Double {
    (configuration.optimizer.state == .fp32 ? 0.6 : 0.8) * Double(updated) + 0.4 * Double(held)
  }
}
