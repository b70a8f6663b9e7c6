/// The purpose of a random word. Each purpose has its own stream, so two purposes never share a word.
public enum RandomStream: UInt32, Sendable, CaseIterable {
  /// Initial weights; the sequence is the index of the tensor in sorted name order.
  case initialWeights = 0
  /// The token sampled at a position.
  case tokenSampling = 1
  /// The latent bits z_N that sampling starts from.
  case latentNoise = 2
  /// The latent bits of reverse diffusion step k; the only stream whose step is not 0.
  case latentStep = 3
  /// The diffusion step n that a position trains on (n = word mod N + 1).
  case diffusionStep = 4
  /// The bits that the diffusion loss flips.
  case diffusionNoise = 5
  /// The order of the training data.
  case shuffling = 6
  /// Problems of the built-in tasks.
  case taskGeneration = 7
  /// Prompts that reinforcement draws: a task's problems, or the order of a file's.
  case reinforcementPrompts = 8
  /// The order in which sources of prompts alternate; the sequence is the number of the block.
  case sourceMixing = 9
  /// Whether the difficulty sampler draws a prompt; the sequence is the number of the visit.
  case difficultySampling = 10
}
