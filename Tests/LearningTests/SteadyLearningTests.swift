import MPI
import Objectives
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

/// The means by which a run does not unlearn: trust region, guard, average, demonstrations, skipped trajectories. Also on
/// several ranks: `mpirun -n 2 <test bundle> … --filter SteadyLearningTests`.
@Suite(.serialized) struct SteadyLearningTests {
  // MARK: Trust region

  @Test("The scale of the learning rate follows the root of target/KL within bounds, and never exceeds 1")
  func scale() {
    var region = TrustRegion(target: 0.01)
    region.adapt(to: 0.0144)
    #expect(abs(region.scale - 1 / 1.2) < 1e-12)
    region.adapt(to: 100)
    #expect(abs(region.scale - 0.5 / 1.2) < 1e-12)
    region.adapt(to: 0)
    #expect(abs(region.scale - 0.5) < 1e-12)
    for _ in 0..<9 { region.adapt(to: 0) }
    #expect(region.scale == 1)
    region.adapt(to: .nan)
    #expect(region.scale == 1)
    var off = TrustRegion(target: 0)
    off.adapt(to: 100)
    #expect(off.scale == 1)
  }

  @Test("The divergence of an update is that of its sampled tokens, the same on one rank and on several")
  func divergence() throws {
    let run = try TinyRun {
      $0.parallel.reproducible = true
      $0.rl.targetKL = 1e-4
      $0.rl.demonstrations = true
    }
    let trainer = try run.trainer(Ranks.together())
    let alone = try run.trainer(Ranks.alone())
    var scales: [Double] = []
    for _ in 0..<3 {
      let (report, other) = (try trainer.step().metrics, try alone.step().metrics)
      for name in ["update/kl", "update/rate_scale", "learning_rate", "reward"] {
        #expect(report[name] == other[name], "\(name)")
      }
      #expect((report["update/kl"] ?? 0) > 0)
      scales.append(report["update/rate_scale"] ?? 0)
    }
    #expect(scales[0] == 1 && scales[2] < 1)
    #expect(trainer.state.rateScale < 1)
  }

  // MARK: Guard

  @Test("The guard keeps the best weights, returns to them and halves the learning rate")
  func guarding() throws {
    let run = try TinyRun { $0.rl.guardFall = 0.1 }
    let trainer = try run.trainer(Ranks.together())
    _ = try trainer.step()
    #expect(trainer.judge(0.5) == .best)
    let best = Fingerprint.of(trainer.learner.masters)
    _ = try trainer.step()
    #expect(trainer.judge(0.45) == .within && trainer.judge(.nan) == .within)
    let rate = try trainer.step().metrics["learning_rate"] ?? 0
    #expect(trainer.judge(0.39) == .fallen)
    #expect(Fingerprint.of(trainer.learner.masters) != best)
    try trainer.returnToBest()
    #expect(Fingerprint.of(trainer.learner.masters) == best)
    #expect(trainer.state.best.returns == 1 && trainer.state.best.step == 1 && trainer.state.best.best == 0.5)
    let halved = try trainer.step().metrics["learning_rate"] ?? 0
    #expect(halved < 0.51 * rate && halved > 0.4 * rate)
    #expect(trainer.judge(0.6) == .best)
  }

  @Test("A return drops rollouts of the abandoned policy")
  func dropsRollouts() throws {
    let run = try TinyRun {
      $0.rl.guardFall = 0.1
      $0.rl.ppoEpochs = 3
    }
    let trainer = try run.trainer(Ranks.together())
    #expect(trainer.judge(0.5) == .best)
    _ = try trainer.step()
    #expect(!trainer.isBetweenRollouts)
    try trainer.returnToBest()
    #expect(trainer.isBetweenRollouts)
    // The next rollout is from the restored weights: ratios are exactly 1.
    #expect(try trainer.step().metrics["rollout/logp_abs_diff_max"] == 0)
  }

  // MARK: Average

  @Test("Within the closure the average replaces the masters; afterwards the run goes on as without the closure")
  func averaging() throws {
    let ranks = try Ranks.together()
    let sizes = ranks.size.isMultiple(of: 2) ? [1, 2] : [1]
    for expert in sizes {
      let run = try TinyRun {
        $0.model.numMiniMoes = 4
        $0.parallel.expert = expert
        $0.rl.emaDecay = 0.9
      }
      let (trainer, plain) = (try run.trainer(ranks), try run.trainer(ranks))
      for _ in 0..<3 {
        _ = try trainer.step()
        _ = try plain.step()
        let before = Fingerprint.of(trainer.learner.masters)
        try trainer.learner.withAveragedWeights {
          #expect(Fingerprint.of(trainer.learner.masters) != before)
          _ = try trainer.learner.wholeWeights()
        }
        #expect(Fingerprint.of(trainer.learner.masters) == before)
      }
      #expect(try Fingerprint.of(trainer.learner) == Fingerprint.of(plain.learner))
    }
  }

  // MARK: Demonstrations

  @Test("The answer joins its group, scored, with a first ratio of exactly 1, and is not in the metrics of the policy")
  func demonstrations() throws {
    let run = try TinyRun { $0.rl.demonstrations = true }
    let (trainer, plain) = (try run.trainer(Ranks.alone()), try TinyRun().trainer(Ranks.alone()))
    let (groups, others) = (try trainer.sampleGroups(step: 0).groups, try plain.sampleGroups(step: 0).groups)
    for (group, other) in zip(groups, others) {
      #expect(group.trajectories.count == 5 && group.rewards.count == 5)
      #expect(group.sampled == other.trajectories && Array(group.rewards.dropLast()) == other.rewards)
      let demonstration = try #require(group.trajectories.last)
      #expect(demonstration.isDemonstration && demonstration.finished)
      #expect(demonstration.generatedTokens.last == trainer.tokenizer.endToken)
      #expect(demonstration.logProbabilities.count == demonstration.generatedTokens.count)
    }
    let (report, without) = (try trainer.step().metrics, try plain.step().metrics)
    #expect(report["rollout/logp_abs_diff_max"] == 0)
    for name in ["reward", "reward_std", "frac_reward_zero_std", "completions/mean_length", "rewards/arbitrary"] {
      #expect(report[name] == without[name], "\(name)")
    }
    #expect(report["loss/policy"] != without["loss/policy"])
  }

  @Test("An answer that is longer than a completion can be does not join its group")
  func longAnswers() throws {
    let run = try TinyRun {
      $0.rl.demonstrations = true
      $0.rl.objective.maxTrajectoryLen = 2
    }
    let trainer = try run.trainer(Ranks.alone())
    for group in try trainer.sampleGroups(step: 0).groups {
      #expect(group.trajectories.count == 4 && !group.trajectories.contains(where: \.isDemonstration))
    }
  }

  // MARK: Trajectories without an advantage

  private static func pure(_ configuration: inout RunConfiguration) {
    configuration.rl.objective.advantage = .clip01
    configuration.rl.objective.entropyCoef = 0
    configuration.rl.objective.auxLossCoef = 0
    configuration.rl.objective.diffusionLossCoef = 0
    configuration.rl.objective.valueCoef = 0
  }

  @Test("Skipping trajectories without an advantage leaves the gradient of the policy loss unchanged")
  func skipping() throws {
    let all = try TinyRun(Self.pure).trained(steps: 1).reports[0].metrics
    let some = try TinyRun {
      Self.pure(&$0)
      $0.rl.zeroAdvantage = .skip
    }.trained(steps: 1).reports[0].metrics
    let (norm, other) = (try #require(all["grad_norm"]), try #require(some["grad_norm"]))
    #expect(norm > 0 && abs(norm - other) < 1e-4 * norm)
    #expect(abs((all["loss/policy"] ?? 0) - (some["loss/policy"] ?? 1)) < 1e-9)
    // With initial weights, every token has nearly the same entropy.
    let entropy = try #require(all["entropy"])
    #expect(abs(entropy - (some["entropy"] ?? 0)) < 0.05 * entropy)
    #expect(all["reward"] == some["reward"])
  }

  // MARK: Norms of terms

  @Test("The norms of policy loss and other losses are those of steps with the other terms at 0")
  func norms() throws {
    func metrics(_ change: @escaping (inout RunConfiguration) -> Void) throws -> [String: Double] {
      try TinyRun {
        Self.pure(&$0)
        change(&$0)
      }.trained(steps: 1).reports[0].metrics
    }
    let policy = try metrics { _ in }
    let measured = try metrics {
      $0.logging.normsEvery = 5
      $0.rl.objective.entropyCoef = 0.1
      $0.rl.objective.diffusionLossCoef = 0.1
    }
    let unmeasured = try metrics {
      $0.rl.objective.entropyCoef = 0.1
      $0.rl.objective.diffusionLossCoef = 0.1
    }
    #expect(policy["grad_norm/policy"] == nil)
    #expect(abs((measured["grad_norm/policy"] ?? 0) - (policy["grad_norm"] ?? 1)) < 1e-5)
    #expect((measured["grad_norm/other"] ?? 0) > 0)
    // Measuring changes no bit of the step.
    for name in ["grad_norm", "load/experts/max_over_mean"] { #expect(measured[name] == unmeasured[name], "\(name)") }
    #expect(try metrics { $0.logging.normsEvery = 1 }["grad_norm/other"] == 0)
  }
}
