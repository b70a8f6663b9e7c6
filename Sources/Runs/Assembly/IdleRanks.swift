import Configuration
import Errors
import Learning

/// Ranks beyond the number of parts into which a step can be divided.
package enum IdleRanks {
  /// A warning if some of `ranks` ranks have no work in any step.
  package static func warning(_ configuration: RunConfiguration, _ phase: RunPhase, ranks: Int) -> String? {
    let rl = configuration.rl
    let parts: Int
    let text: String
    switch phase {
    case .train:
      parts = Saturating.product(rl.batchSize, rl.numTrajectories)
      text =
        FigureText.count(parts, "trajectory", plural: "trajectories") + " (rl.batch_size · rl.num_trajectories)"
    case .pretrain:
      parts = configuration.pretrain.batchSize
      text = FigureText.count(parts, "sequence") + " (pretrain.batch_size)"
    case .evaluate: return nil
    }
    guard ranks > parts else { return nil }
    return
      "a step has \(text) for \(FigureText.count(ranks, "rank")), so some ranks only wait for the others; start at "
      + "most \(FigureText.count(parts, "rank")), or raise \(phase == .train ? "rl" : "pretrain").batch_size"
  }
}
