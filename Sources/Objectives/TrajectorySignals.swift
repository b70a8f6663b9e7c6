/// What the model says about the generated tokens of one trajectory, in order of position; one element per generated
/// token in every array. Log-probabilities and entropies are after the temperature.
public struct TrajectorySignals: Sendable {
  /// log π_old(token), recorded at rollout.
  public let oldLogProbabilities: [Float]
  /// log π_θ(token) of this forward pass.
  public let logProbabilities: [Float]
  /// Full-vocabulary entropy of the distribution that the token was predicted from, nats.
  public let entropies: [Float]
  /// The value head's output at the same place.
  public let values: [Float]
  /// log π_ref(token); needed only where `klCoef` is not 0.
  public let referenceLogProbabilities: [Float]?

  public init(
    oldLogProbabilities: [Float], logProbabilities: [Float], entropies: [Float], values: [Float],
    referenceLogProbabilities: [Float]? = nil
  ) {
    let count = logProbabilities.count
    let counts = [oldLogProbabilities.count, entropies.count, values.count, referenceLogProbabilities?.count ?? count]
    precondition(counts.allSatisfy { $0 == count }, "\(count) log-probabilities, but \(counts) of the other signals")
    self.oldLogProbabilities = oldLogProbabilities
    self.logProbabilities = logProbabilities
    self.entropies = entropies
    self.values = values
    self.referenceLogProbabilities = referenceLogProbabilities
  }

  public var count: Int { logProbabilities.count }

  /// The mean over the tokens of log π_θ − log π_old, in float64: the log of GSPO's sequence ratio; 0 without tokens.
  var meanLogRatio: Double {
    var sum = 0.0
    for (new, old) in zip(logProbabilities, oldLogProbabilities) { sum += Double(new) - Double(old) }
    return sum / Double(max(1, count))
  }
}
