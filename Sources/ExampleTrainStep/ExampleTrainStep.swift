import Quillan

/// A program that uses the library: builds a tiny model, samples groups, trains on them and publishes π_old.
///
/// With a reward of its own, an untrained model learns to write lower-case letters. Run it on one rank, or on several
/// with the same metrics: `mpirun -n 2 .build/release/ExampleTrainStep`.
@main
enum ExampleTrainStep {
  static func main() {
    // Starts MPI (without mpirun the process is the only rank); an error becomes one line and exit code 1 on all ranks.
    Environment.run { communicator in
      let configuration = try tinyConfiguration()
      let assembly = try RunAssembly(
        configuration, file: "ExampleTrainStep", threads: 1, communicator: communicator)
      let trainer = try assembly.trainer(rewards: WeightedRewards([.init(LowercaseShare())]))
      for _ in 0..<configuration.rl.numEpochs {
        // Each rank samples its share of the groups from π_old; the update uses the groups of all ranks.
        let rollouts = try trainer.sampleGroups(step: trainer.stepCount)
        let report = try trainer.trainStep(rollouts.groups)
        try trainer.updateOldPolicy()
        guard communicator.rank == 0, trainer.stepCount % 10 == 0 else { continue }
        let figures = ["reward", "entropy", "loss", "loss/diffusion", "rollout/logp_abs_diff_max"]
        let text = figures.map { "\($0) \(FigureText.fixed(report.metrics[$0] ?? .nan, 4))" }
        print("step \(trainer.stepCount): \(text.joined(separator: ", "))")
      }
      return 0
    }
  }

  /// A model with every component, small enough for steps of milliseconds, and prompts of one-digit addition.
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

    configuration.rl.batchSize = 4
    configuration.rl.numTrajectories = 16
    configuration.rl.learningRate = 1e-2
    configuration.rl.objective.maxTrajectoryLen = 4
    configuration.rl.objective.advantage = .standardized
    configuration.rl.numEpochs = 100
    configuration.rl.warmupSteps = 0
    configuration.pretrain.sequenceLength = 32
    // Any number of ranks computes bit-identical weights.
    configuration.parallel.reproducible = true
    // Ends the run if a log-probability of a rollout differs from that of the training forward.
    configuration.debug.assertExact = true
    // Reading a YAML file validates it; a configuration made in code is validated here.
    try configuration.validate(file: "ExampleTrainStep")
    return configuration
  }
}

/// The share of a completion's characters that are lower-case letters.
struct LowercaseShare: Reward {
  let name = "lowercase_share"

  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    let letters = completion.count { ("a"..."z").contains($0) }
    return Double(letters) / Double(max(1, completion.count))
  }
}
