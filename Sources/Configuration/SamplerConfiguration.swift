/// How training prompts are chosen (`data.sampler`).
public struct SamplerConfiguration: Sendable, Equatable {
  /// The kinds of sampler.
  public enum Kind: String, Sendable, CaseIterable {
    /// Every prompt once in each epoch.
    case uniform
    /// Prompts that are neither always nor never solved; the others with probability `minimum`.
    case difficulty
  }

  public var kind = Kind.uniform
  /// The probability of drawing a visited prompt whose measured pass rate is 0 or 1.
  public var minimum = 0.1

  /// The defaults: uniform.
  public init() {}
}

extension SamplerConfiguration: ConfigurationGroup {
  static let requiredKeys = ["kind"]
  static let fields: [ConfigurationField<SamplerConfiguration>] = [
    .choice("kind", \.kind, "how prompts are chosen"),
    .real(
      "minimum", \.minimum, .positiveFraction, "probability of a prompt that is always or never solved (difficulty)"),
  ]
}
