/// How tokens are drawn from the policy's distribution.
///
/// The filters are applied in the order of Hugging Face's transformers: temperature, top-k, top-p of the renormalised
/// tokens that top-k keeps, min-p. A token is drawn from the renormalised rest.
public struct SamplingOptions: Sendable, Equatable {
  /// The minimum temperature: logits divided by a lower one may overflow. Use `greedy` instead.
  public static let minimumTemperature = 1e-5

  /// Divides the logits, both in the rollout and in training.
  public var temperature: Float = 1
  /// Keeps the k most probable tokens (on ties, the lowest index first); 0 keeps all.
  public var topK = 0
  /// Keeps the smallest set of most probable tokens that reaches this share of the probability of what top-k keeps; 1
  /// keeps all.
  public var topP = 1.0
  /// Drops tokens less probable than this share of the most probable token (Nguyen et al., 2024, arXiv:2407.01082); 0
  /// keeps all.
  public var minP = 0.0
  /// Divides positive logits of tokens that the sequence already contains, and multiplies negative logits (Keskar et
  /// al., 2019, arXiv:1909.05858); 1 disables it. Reported log-probabilities are those without the penalty, so with
  /// another value the samples do not follow the policy.
  public var repetitionPenalty: Float = 1
  /// Takes the most probable token (lowest index first) instead of drawing.
  public var greedy = false
  /// The maximum number of generated tokens, including the end token.
  public var maxNewTokens = 128

  public init() {}
}
