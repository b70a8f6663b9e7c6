import Configuration
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Tensors

extension Learner {
  /// A learner with the optimizer and the reductions of `configuration`.
  ///
  /// - Parameters:
  ///   - masters: the masters that this rank holds in `topology`.
  ///   - averageDecay: the decay of the moving average of the masters; 0: no average.
  public convenience init(
    _ configuration: RunConfiguration, _ model: QuillanModel, masters: ParameterStore, topology: Topology,
    averageDecay: Double = 0, _ context: Context
  ) {
    let optimizer = configuration.optimizer
    self.init(
      model: model, masters: masters,
      optimizer: AdamW(
        beta1: optimizer.beta1, beta2: optimizer.beta2, epsilon: optimizer.epsilon,
        weightDecay: configuration.rl.weightDecay),
      state: optimizer.state, averageDecay: averageDecay, sharded: optimizer.shard,
      mixedPrecision: configuration.rl.useMixedPrecision, reproducible: configuration.parallel.reproducible,
      topology: topology, context: context)
  }
}

extension Topology {
  /// The layout of `configuration` on the ranks of `world`. Collective.
  ///
  /// - Parameter machine: the ranks that share memory; nil means the ranks of this machine.
  public init(
    _ configuration: RunConfiguration, world: Communicator, machine: Communicator? = nil
  ) throws(MPIError) {
    try self.init(
      world: world, expert: configuration.parallel.expert, miniMoEs: configuration.model.numMiniMoes, machine: machine)
  }
}
