/// The kind of a run.
public enum RunPhase: String, Sendable {
  /// Next-token training on text or demonstrations.
  case pretrain
  /// Reinforcement learning.
  case train
  /// Evaluation of weights on held-out data.
  case evaluate
}
