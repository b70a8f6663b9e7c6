import Objectives
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

/// The effect of every field of the `rl` section.
@Suite struct TrainerFieldTests {
  /// A field with a different value.
  struct Field: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout RunConfiguration) -> Void

    init(_ name: String, _ change: @escaping @Sendable (inout RunConfiguration) -> Void) {
      testDescription = name
      self.change = change
    }

    static let all = [
      Field("learning_rate") { $0.rl.learningRate = 1e-3 },
      Field("batch_size") { $0.rl.batchSize = 4 },
      Field("num_trajectories") { $0.rl.numTrajectories = 3 },
      Field("max_trajectory_len") { $0.rl.objective.maxTrajectoryLen = 4 },
      Field("clip_epsilon") { $0.rl.clipEpsilon = 0 },
      Field("clip_epsilon_low") { $0.rl.objective.clipEpsilonLow = 0 },
      Field("clip_epsilon_high") { $0.rl.objective.clipEpsilonHigh = 0 },
      Field("value_coef") { $0.rl.objective.valueCoef = 0 },
      Field("entropy_coef") { $0.rl.objective.entropyCoef = 0 },
      Field("aux_loss_coef") { $0.rl.objective.auxLossCoef = 0 },
      Field("diffusion_loss_coef") { $0.rl.objective.diffusionLossCoef = 0 },
      Field("kl_coef") { $0.rl.objective.klCoef = 0.1 },
      Field("max_grad_norm") { $0.rl.maxGradNorm = 1e-6 },
      Field("num_epochs") { $0.rl.numEpochs = 5 },
      Field("warmup_steps") { $0.rl.warmupSteps = 1 },
      Field("use_mixed_precision") { $0.rl.useMixedPrecision = false },
      Field("old_policy_interval") { $0.rl.oldPolicyInterval = 1 },
      Field("balance_rate") { $0.rl.balanceRate = 0 },
      Field("advantage") { $0.rl.objective.advantage = .clip01 },
      Field("aggregation") { $0.rl.objective.aggregation = .sequenceMean },
      Field("advantage_std") { $0.rl.objective.advantageStd = .sample },
      Field("advantage_epsilon") { $0.rl.objective.advantageEpsilon = 0.1 },
      Field("ratio") { $0.rl.objective.ratio = .sequence },
      Field("ppo_epochs") { $0.rl.ppoEpochs = 2 },
      Field("mini_batches") { $0.rl.miniBatches = 4 },
      Field("overlong_filter") { $0.rl.overlongFilter = true },
      Field("entropy_target") { $0.rl.entropyTarget = 100 },
      Field("temperature") { $0.rl.objective.temperature = 0.7 },
      Field("top_k") { $0.rl.topK = 5 },
      Field("top_p") { $0.rl.topP = 0.5 },
      Field("overlong_cache") { $0.rl.overlongCache = 3 },
      Field("weight_decay") { $0.rl.weightDecay = 0 },
      Field("seed") { $0.rl.seed = 7 },
    ]
  }

  private static func base(_ configuration: inout RunConfiguration) {
    configuration.rl.oldPolicyInterval = 2
  }

  @Test("Every field changes the weights after 4 steps", arguments: Field.all)
  func matters(field: Field) throws {
    let base = try TinyRun(Self.base).trained(steps: 4).trainer.learner.masters
    let changed = try TinyRun {
      Self.base(&$0)
      field.change(&$0)
    }
    .trained(steps: 4).trainer.learner.masters
    #expect(Fingerprint.of(base) != Fingerprint.of(changed))
  }

  @Test("CISPO keeps gradients of clipped ratios")
  func surrogate() throws {
    func weights(_ surrogate: SurrogateMode) throws -> Fingerprint {
      let run = try TinyRun {
        Self.base(&$0)
        $0.rl.clipEpsilon = 0
        $0.rl.objective.surrogate = surrogate
      }
      return Fingerprint.of(try run.trained(steps: 4).trainer.learner.masters)
    }
    #expect(try weights(.clipped) != weights(.cispo))
  }

  /// The names of the tensors whose bits differ after one step.
  private func differing(_ first: (inout RunConfiguration) -> Void, _ second: (inout RunConfiguration) -> Void) throws
    -> Set<String>
  {
    let one = try TinyRun(first).trained(steps: 1).trainer.learner.masters
    let two = try TinyRun(second).trained(steps: 1).trainer.learner.masters
    return Set(
      one.table.ids.map { one.table[$0].name }.filter {
        one.array($0)?.map(\.bitPattern) != two.array($0)?.map(\.bitPattern)
      })
  }

  @Test("value_coef trains the value head only")
  func valueHead() throws {
    let names = try differing(
      { $0.rl.maxGradNorm = 1e9 },
      {
        $0.rl.maxGradNorm = 1e9
        $0.rl.objective.valueCoef = 0
      })
    #expect(names == ["value_head.weight", "value_head.bias"])
  }

  @Test("balance_rate moves the balance biases only, and 0 keeps them")
  func balance() throws {
    let names = try differing({ _ in }, { $0.rl.balanceRate = 0 })
    #expect(!names.isEmpty && names.allSatisfy { $0.hasSuffix("router.bias") })
    let unchanged = try TinyRun { $0.rl.balanceRate = 0 }.trained(steps: 4).trainer.learner.masters
    for id in unchanged.table.ids where unchanged.table[id].name.hasSuffix("router.bias") {
      #expect(unchanged.values(id).allSatisfy { $0 == 0 })
    }
  }

  @Test("weight_decay does not change norms and biases")
  func decay() throws {
    let names = try differing({ $0.rl.weightDecay = 0.5 }, { $0.rl.weightDecay = 0 })
    #expect(names.contains("layers.0.attention.qkv.weight"))
    #expect(names.allSatisfy { !$0.hasSuffix(".bias") && !$0.contains("norm") }, "\(names)")
  }

  @Test("use_mixed_precision changes gradients but not the forward pass")
  func mixedPrecision() throws {
    let mixed = try TinyRun().trained(steps: 1).reports[0].metrics
    let full = try TinyRun { $0.rl.useMixedPrecision = false }.trained(steps: 1).reports[0].metrics
    #expect(mixed.bits(without: ["grad_norm"]) == full.bits(without: ["grad_norm"]))
    let (a, b) = (mixed["grad_norm"] ?? 0, full["grad_norm"] ?? 0)
    #expect(a != b)
    #expect(abs(a - b) < 0.02 * b, "\(a) and \(b)")
  }

  @Test("The learning rate warms up to its peak and falls to a tenth")
  func learningRate() throws {
    let reports = try TinyRun {
      $0.rl.numEpochs = 6
      $0.rl.warmupSteps = 2
    }
    .trained(steps: 7).reports.map(\.learningRate)
    #expect(reports[0] == 1.5e-3 && reports[1] == 3e-3 && reports[2] == 3e-3)
    #expect(zip(reports.dropFirst(2), reports.dropFirst(3)).allSatisfy { $0 > $1 })
    #expect(abs(reports[6] - 3e-4) < 1e-12)
  }

  @Test("batch_size, num_trajectories and max_trajectory_len shape the rollouts")
  func shapes() throws {
    let trainer = try TinyRun {
      $0.rl.batchSize = 3
      $0.rl.numTrajectories = 2
      $0.rl.objective.maxTrajectoryLen = 4
    }
    .trainer(Ranks.alone())
    let groups = try trainer.sampleGroups(step: 2).groups
    #expect(groups.map(\.id) == [6, 7, 8])
    #expect(groups.flatMap { $0.trajectories.map(\.id) } == [12, 13, 14, 15, 16, 17])
    #expect(groups.allSatisfy { $0.trajectories.allSatisfy { $0.logProbabilities.count <= 4 } })
  }

  @Test("top_k 1 gives all trajectories of a group the same first token")
  func topK() throws {
    let trainer = try TinyRun { $0.rl.topK = 1 }.trainer(Ranks.alone())
    let group = try trainer.sampleGroups(step: 0).groups[0].trajectories
    // Latents differ between trajectories, but only later tokens depend on them.
    #expect(Set(group.map { $0.generatedTokens[0] }).count == 1)
  }

  @Test("overlong_cache lowers the rewards of trajectories near the length limit")
  func overlong() throws {
    let plain = try TinyRun().trainer(Ranks.alone()).sampleGroups(step: 0).groups
    let shaped = try TinyRun { $0.rl.overlongCache = 2 }.trainer(Ranks.alone()).sampleGroups(step: 0).groups
    for (plain, shaped) in zip(plain, shaped) {
      #expect(plain.trajectories == shaped.trajectories)
      for (index, trajectory) in plain.trajectories.enumerated() where !trajectory.finished {
        #expect(shaped.rewards[index] == plain.rewards[index] - 1)
      }
    }
  }
}
