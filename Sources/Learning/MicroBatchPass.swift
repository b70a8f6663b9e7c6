import Layers
import LowBit
import Models
import Parameters
import Tensors

/// Forward pass, objective and backward pass of a micro-batch.
package struct MicroBatchPass<Objective: SequenceObjective> {
  package let model: QuillanModel
  package let objective: Objective
  package let retention: Retention
  /// Sends rows to the owners of their mini-MoEs; nil if this rank owns all. With an exchange, all ranks of the expert
  /// group call `accumulate` equally often.
  package let exchange: CouncilExchange?

  package init(
    _ model: QuillanModel, _ objective: Objective, retention: Retention = .everything,
    exchange: CouncilExchange? = nil
  ) {
    self.model = model
    self.objective = objective
    self.retention = retention
    self.exchange = exchange
  }

  /// Adds the gradients of the sequences' losses to `gradients` and their routed slots to `loads`. Allocates nothing
  /// after the arenas have grown.
  ///
  /// - Parameters:
  ///   - sequences: empty if this rank only takes part in a micro-batch of other ranks.
  ///   - diffusion: targets and noise, with the rows of the concatenated sequences; nil without diffusion.
  ///   - body: called once for each sequence, in order, after the backward pass.
  package func accumulate(
    _ sequences: [TrainingSequence], diffusion: ReasoningDiffusion.LossInput?,
    _ weights: PackedModel, _ gradients: Gradients, loads: RoutingLoads, _ context: Context,
    body: (Int, SequenceResult<Objective.Terms>) -> Void
  ) {
    if sequences.isEmpty {
      if let exchange {
        model.serveOtherRanks(exchange, loads: loads, retention: retention, weights, gradients, context)
      }
      return
    }
    context.arena.scoped {
      let pass = SequencePass(
        sequences, model, weights, temperature: objective.temperature, retention: retention, loads: loads,
        exchange: exchange, context)
      var terms = ArenaList<Objective.Terms>(capacity: sequences.count, in: context.arena)
      for index in sequences.indices {
        terms.append(objective.evaluate(sequences[index], pass.signals(index), into: pass.gradients(index)))
      }
      pass.backward(diffusion: diffusion, weights, into: gradients, context)
      var firstByte = 0
      for index in sequences.indices {
        let bytes = firstByte..<firstByte + sequences[index].latents.count
        firstByte = bytes.upperBound
        body(
          index,
          SequenceResult(
            terms: terms[index], losses: pass.losses(index), signals: pass.signals(index),
            diffusionTargets: diffusion?.targets[bytes], latentBits: model.configuration.dim))
      }
    }
  }
}
