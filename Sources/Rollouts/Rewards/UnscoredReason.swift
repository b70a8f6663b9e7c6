/// Why a completion has no score.
public enum UnscoredReason: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
  /// The scorer gave no answer in time.
  case timeout
  /// The scorer ended before it answered.
  case crash
  /// The scorer answered that it has no score, or no reward applies.
  case none
  /// The score is NaN or infinite.
  case notFinite = "not_finite"
  /// The score is beyond ±`WeightedRewards.largestScore`.
  case outOfRange = "out_of_range"
  /// The score is a truth value, a string, a list or an object.
  case notANumber = "not_a_number"
  /// The answer has no score.
  case missing
  /// The answer is not JSON, or does not say which completion it is for.
  case unreadable
  /// The pattern takes too many steps on the completion.
  case patternLimit = "pattern_limit"

  /// Whether there was an answer that cannot be used.
  public var isInvalid: Bool {
    switch self {
    case .notFinite, .outOfRange, .notANumber, .missing, .unreadable: true
    case .timeout, .crash, .none, .patternLimit: false
    }
  }

  /// The metrics that count this reason.
  public var metrics: [String] { isInvalid ? ["unscored/invalid", "invalid/\(rawValue)"] : ["unscored/\(rawValue)"] }

  /// The reason in a few words, for log lines.
  public var text: String {
    switch self {
    case .timeout: "no answer in time"
    case .crash: "the program ended"
    case .none: "null or not applicable"
    case .notFinite: "not a finite number"
    case .outOfRange: "a number out of range"
    case .notANumber: "not a number"
    case .missing: "no reward in the answer"
    case .unreadable: "an answer that cannot be read"
    case .patternLimit: "a pattern with too many steps"
    }
  }
}
