/// What a run does.
public enum RunPhase: String, Sendable {
  /// Next-token training on text or demonstrations.
  case pretrain
  /// Reinforcement.
  case train
  /// Measuring weights on held-out data.
  case evaluate
}
