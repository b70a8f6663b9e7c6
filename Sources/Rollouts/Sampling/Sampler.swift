import Layers
import Models
import Parameters
import Tensors

/// Generates trajectories from a policy replica, in batches, with a key-value cache.
///
/// The trajectories of a prompt share its latents and prefill. Every random number is keyed by global ids and absolute
/// positions, and a row's arithmetic does not depend on its batch: a trajectory has the same bits in every batch and on
/// every rank, and its log-probabilities are those of the training forward pass.
public struct Sampler: Sendable {
  /// One prompt and the trajectories requested for it.
  public struct Request: Sendable {
    public let prompt: [Int32]
    /// Global trajectory numbers.
    public let trajectories: [UInt64]
    /// The trajectory number that keys the prompt's latents.
    public let promptID: UInt64
    /// The maximum number of generated tokens of each; nil: the options' `maxNewTokens`.
    public let limit: Int?

    /// - Parameter promptID: the number of the group's first trajectory, if the request is for other trajectories of the
    ///   group; nil: the first of `trajectories`.
    public init(prompt: [Int32], trajectories: [UInt64], promptID: UInt64? = nil, limit: Int? = nil) {
      precondition(!prompt.isEmpty, "a prompt without tokens")
      precondition(!trajectories.isEmpty, "a request for no trajectory")
      self.prompt = prompt
      self.trajectories = trajectories
      self.promptID = promptID ?? trajectories[0]
      self.limit = limit
    }
  }

  public let model: QuillanModel
  public let options: SamplingOptions
  /// The ids that end a sequence.
  public let endTokens: [Int32]
  public let seed: UInt64
  /// The default of `maximumBatch`.
  public static let standardBatch = 256
  /// The maximum number of tokens of prompts and observations in a pass. It bounds memory and does not change results.
  public static let promptTokens = 512

  /// The maximum number of sequences decoded together. It bounds memory and does not change results.
  public let maximumBatch: Int

  public init(
    model: QuillanModel, options: SamplingOptions, endToken: Int32, seed: UInt64,
    maximumBatch: Int = Sampler.standardBatch
  ) {
    self.init(model: model, options: options, endTokens: [endToken], seed: seed, maximumBatch: maximumBatch)
  }

  public init(
    model: QuillanModel, options: SamplingOptions, endTokens: [Int32], seed: UInt64,
    maximumBatch: Int = Sampler.standardBatch
  ) {
    precondition(maximumBatch > 0, "batches of \(maximumBatch) sequences")
    self.model = model
    self.options = options
    self.endTokens = endTokens
    self.seed = seed
    self.maximumBatch = maximumBatch
  }

  /// A newly drawn token.
  public struct Draw {
    /// The index of the request, and of the trajectory in the request.
    public let request: Int
    public let sample: Int
    public let token: Int32
    /// log π(token), before filters and repetition penalty.
    public let logProbability: Float
    let logits: Vector
    let logSumExp: Float

    /// The `count` most probable tokens with their log-probabilities; valid only during the observer's call.
    public func likeliest(_ count: Int) -> [(token: Int32, logProbability: Float)] {
      var best: [Int] = []
      for index in logits.indices {
        if best.count == count, let last = best.last, logits[index] <= logits[last] { continue }
        let position = best.firstIndex { logits[index] > logits[$0] } ?? best.count
        best.insert(index, at: position)
        if best.count > count { best.removeLast() }
      }
      return best.map { (Int32($0), logits[$0] - logSumExp) }
    }
  }

  /// The trajectories of every request, in order.
  ///
  /// - Parameters:
  ///   - observer: called with every token when it is drawn; in each step, in the order of trajectories. Returning false
  ///     ends the trajectory.
  ///   - isCancelled: asked before every step; true ends sampling, and requests that have not ended have no trajectories.
  ///   - completed: called with the index and the trajectories of a request as soon as the last of them has ended, while
  ///     others are still sampled.
  /// - Throws: `SamplingError` if logits are not finite.
  /// - Precondition: a prompt and the tokens that its request allows fit into the model's `max_seq_len`.
  public func sample(
    _ requests: [Request], _ weights: PackedModel, _ context: Context, observer: (Draw) -> Bool = { _ in true },
    isCancelled: () -> Bool = { false }, completed: (Int, [Trajectory]) -> Void = { _, _ in }
  ) throws -> [[Trajectory]] {
    let engine = DecodingEngine(self, weights, context)
    for request in requests { engine.submit(request) }
    var parts = requests.map { [Trajectory?](repeating: nil, count: $0.trajectories.count) }
    var missing = requests.map(\.trajectories.count)
    var results = [[Trajectory]](repeating: [], count: requests.count)
    while !engine.isIdle, !isCancelled() {
      try engine.step(observer: observer) { ended in
        parts[ended.request][ended.sample] = ended.trajectory
        missing[ended.request] -= 1
        if missing[ended.request] == 0 {
          results[ended.request] = parts[ended.request].compactMap { $0 }
          completed(ended.request, results[ended.request])
        }
        return []
      }
    }
    return results
  }
}
