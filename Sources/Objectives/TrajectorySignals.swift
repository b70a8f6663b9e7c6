/// The model's outputs at the generated tokens of one trajectory, in order of position, one element per token.
/// Log-probabilities and entropies are after division by the temperature.
public struct TrajectorySignals: Sendable {
  /// log π_old(token), recorded at rollout.
  public let oldLogProbabilities: [Float]
  /// log π_θ(token) of this forward pass.
  public let logProbabilities: [Float]
  /// Full-vocabulary entropy of the distribution that the token was predicted from, nats.
  public let entropies: [Float]
  /// The value head's output at the same position.
  public let values: [Float]
  /// log π_ref(token); needed only if `klCoef` is not 0.
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

  /// A view of the same numbers in memory that another object owns; the view must not outlive that memory.
  public struct View {
    public let oldLogProbabilities: UnsafeBufferPointer<Float>
    public let logProbabilities: UnsafeBufferPointer<Float>
    public let entropies: UnsafeBufferPointer<Float>
    public let values: UnsafeBufferPointer<Float>
    public let referenceLogProbabilities: UnsafeBufferPointer<Float>?

    public init(
      oldLogProbabilities: UnsafeBufferPointer<Float>, logProbabilities: UnsafeBufferPointer<Float>,
      entropies: UnsafeBufferPointer<Float>, values: UnsafeBufferPointer<Float>,
      referenceLogProbabilities: UnsafeBufferPointer<Float>? = nil
    ) {
      let count = logProbabilities.count
      precondition(
        oldLogProbabilities.count == count && entropies.count == count && values.count == count
          && (referenceLogProbabilities?.count ?? count) == count,
        "\(count) log-probabilities, but other counts of the other signals")
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

  /// Calls `body` with a view of these signals that is valid until it returns.
  public func withView<Result>(_ body: (View) -> Result) -> Result {
    oldLogProbabilities.withUnsafeBufferPointer { old in
      logProbabilities.withUnsafeBufferPointer { new in
        entropies.withUnsafeBufferPointer { entropies in
          values.withUnsafeBufferPointer { values in
            referenceLogProbabilities.withUnsafeBuffer { references in
              body(
                View(
                  oldLogProbabilities: old, logProbabilities: new, entropies: entropies, values: values,
                  referenceLogProbabilities: references))
            }
          }
        }
      }
    }
  }
}

extension [Float]? {
  /// The standard library's `withUnsafeBufferPointer`, with nil for no array.
  package func withUnsafeBuffer<Result>(_ body: (UnsafeBufferPointer<Float>?) -> Result) -> Result {
    guard let self else { return body(nil) }
    return self.withUnsafeBufferPointer { body($0) }
  }
}
