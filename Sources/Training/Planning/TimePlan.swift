import MPI
import Models

/// How long the update of one optimizer step takes, predicted from steps of a part of the model that this machine runs.
///
/// The part has all layers and sizes but fewer mini-MoEs, and as many fewer tokens, so that each expert meets as many
/// tokens as in the whole. Its forward and backward pass is scaled by the tokens, reduction and update by the
/// parameters, and what ranks send divides by the bandwidth. Rollouts are not part of it.
public struct TimePlan: Sendable {
  /// Mini-MoEs and tokens of the part that is measured.
  public let measuredMiniMoEs: Int
  public let measuredTokens: Int
  /// Seconds of forward and backward pass, of reduction, optimizer and packing, and of sending.
  public let passes: Double
  public let update: Double
  public let traffic: Double

  public var total: Double { passes + update + traffic }

  /// Measures and predicts. Local: a rank of its own computes.
  ///
  /// - Parameters:
  ///   - tokens: of one rank in one step.
  ///   - sequenceLength: of a trajectory, prompt included.
  ///   - bandwidth: bytes a second that a rank sends.
  /// - Throws: `ConfigurationIssue`.
  public init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, traffic: TrafficPlan, tokens: Int,
    sequenceLength: Int, bandwidth: Double, threads: Int, communicator: Communicator
  ) throws {
    var part = configuration
    let all = configuration.model.numMiniMoes
    // At least one sequence, a choice among mini-MoEs, and an eighth of the tokens.
    let least = max(configuration.model.miniMoeTopK, all / 8, (all * sequenceLength + tokens - 1) / max(1, tokens))
    part.model.numMiniMoes = min(all, least)
    part.rl.numTrajectories = 1
    part.rl.accumulationSteps = 1
    part.parallel.expert = 1
    measuredMiniMoEs = part.model.numMiniMoes
    let wanted = max(sequenceLength, tokens * measuredMiniMoEs / all)
    measuredTokens = wanted / sequenceLength * sequenceLength
    let rows = try ModelBenchmark(part, threads: threads, communicator: communicator)
      .trainingStep(tokens: measuredTokens, sequenceLength: sequenceLength, steps: 2)
    let elements = try ParameterPlan(part.model, part.precision).storeCount
    let held =
      parameters.storeCount - parameters.councilStoreCount
      + parameters.councilStoreCount / max(1, configuration.parallel.expert)
    passes = rows[1].seconds * Double(tokens) / Double(measuredTokens)
    update = (rows[2].seconds + rows[3].seconds) * Double(held) / Double(elements)
    self.traffic = Double(traffic.total) / bandwidth
  }
}
