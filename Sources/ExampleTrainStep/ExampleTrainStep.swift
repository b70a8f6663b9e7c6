import MPI
import Models
import Training

/// The library without the program: builds a tiny model, samples groups, updates on them and publishes π_old.
///
/// Run it alone, or on several ranks with the same results: `mpirun -n 2 .build/release/ExampleTrainStep`.
@main
enum ExampleTrainStep {
  static func main() {
    // Starts MPI (alone, the process is the only rank) and turns an error into one line and exit code 1 on all ranks.
    Environment.run { communicator in
      let configuration = try tinyConfiguration()
      let assembly = try RunAssembly(
        configuration, file: "ExampleTrainStep", threads: 1, communicator: communicator)
      let trainer = try Trainer(
        configuration: configuration, learner: assembly.learner(assembly.masters()), prompts: assembly.prompts(),
        tokenizer: assembly.tokenizer, rewards: assembly.rewards())
      for _ in 0..<configuration.rl.numEpochs {
        // Each rank samples its share of the groups from π_old; the update is on all ranks' groups together.
        let rollouts = try trainer.sampleGroups(step: trainer.stepCount)
        let report = try trainer.trainStep(rollouts.groups)
        trainer.updateOldPolicy()
        guard communicator.rank == 0 else { continue }
        let figures = ["loss", "loss/policy", "loss/diffusion", "reward", "rollout/logp_abs_diff_max"]
        print("step \(report.step):", figures.map { "\($0) \(report.metrics[$0] ?? .nan)" }.joined(separator: ", "))
      }
      return 0
    }
  }

  /// Every part of the design at a size that trains in milliseconds, on one-digit addition.
  private static func tinyConfiguration() throws -> RunConfiguration {
    var configuration = RunConfiguration()
    var model = ModelConfiguration(dim: 32)
    model.vocabSize = 259
    model.numLayers = 2
    model.numHeads = 2
    model.numMiniMoes = 4
    model.numExpertsPerMini = 2
    model.numMicrosPerMini = 6
    model.microTopK = 2
    model.maxSeqLen = 32
    configuration.model = model

    var task = TaskConfiguration()
    task.name = .addition
    task.digits = 1
    configuration.data.task = task
    configuration.data.tokenizer = .byte
    configuration.data.maxPromptLen = 16
    var reward = RewardConfiguration()
    reward.name = .partialCredit
    configuration.data.rewards = [reward]

    configuration.rl.batchSize = 4
    configuration.rl.numTrajectories = 8
    configuration.rl.objective.maxTrajectoryLen = 4
    configuration.rl.objective.advantage = .standardized
    configuration.rl.numEpochs = 5
    configuration.rl.warmupSteps = 0
    configuration.pretrain.sequenceLength = 32
    configuration.debug.assertExact = true
    // A YAML file is checked as it is read; a configuration made in code is checked here.
    try configuration.validate(file: "ExampleTrainStep")
    return configuration
  }
}
