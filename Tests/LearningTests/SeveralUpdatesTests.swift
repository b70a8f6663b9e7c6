import Objectives
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct SeveralUpdatesTests {
  /// 1 for completions with an even number of bytes, otherwise 0, so that groups are often uniform.
  private struct Parity: Reward {
    let name = "parity"

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
      completion.utf8.count.isMultiple(of: 2) ? 1 : 0
    }
  }

  /// The same score for every completion.
  private struct Constant: Reward {
    let name = "constant"

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { 0.5 }
  }

  @Test("Epochs and mini-batches use one rollout with the log-probabilities of its policy")
  func epochs() throws {
    let trainer = try TinyRun {
      $0.rl.ppoEpochs = 2
      $0.rl.miniBatches = 3
      $0.debug.assertExact = true
    }.trainer(Ranks.alone())
    var reports: [StepReport] = []
    for _ in 0..<12 { reports.append(try trainer.step()) }
    for (index, report) in reports.enumerated() {
      #expect(report.step == index)
      // Steps 0 and 6 sample a rollout of 15 groups; each step trains on five of them.
      #expect((report.prompts == nil) == !index.isMultiple(of: 6))
      #expect(report.metrics["rollout/logp_abs_diff_max"] == (index.isMultiple(of: 6) ? 0 : nil))
      #expect((report.metrics["ratio/mean"] == 1) == index.isMultiple(of: 6))
    }
    #expect(reports[0].prompts.map { $0.first == 0 && $0.count == 15 } == true)
    #expect(reports[6].prompts.map { $0.first == 15 && $0.count == 15 } == true)
    #expect(trainer.isBetweenRollouts)
    #expect(trainer.state.steps == 12 && trainer.state.nextGroup == 30)
  }

  @Test("Two mini-batches give the same bits as two steps with one old policy")
  func miniBatches() throws {
    let split = try TinyRun { $0.rl.miniBatches = 2 }.trained(steps: 4)
    let interval = try TinyRun { $0.rl.oldPolicyInterval = 2 }.trained(steps: 4)
    #expect(Fingerprint.of(split.trainer.learner.masters) == Fingerprint.of(interval.trainer.learner.masters))
    #expect(split.reports.map { $0.metrics["loss"] } == interval.reports.map { $0.metrics["loss"] })
  }

  @Test("A trainer with the state and weights of another continues with the same bits")
  func state() throws {
    let run = try TinyRun { $0.rl.entropyTarget = 2 }
    let first = try run.trainer(Ranks.alone())
    for _ in 0..<3 { _ = try first.step() }
    let second = try run.trainer(Ranks.alone())
    second.state = first.state
    let (one, two) = (try first.sampleGroups(step: 3).groups, try second.sampleGroups(step: 3).groups)
    #expect(one.map(\.id) == two.map(\.id))
    #expect(first.state == second.state && second.state.nextGroup == 15)
    #expect(try second.step().step == 3)
  }

  @Test("Dynamic sampling replaces uniform groups by the next prompts and reports them")
  func dynamicSampling() throws {
    var run = try TinyRun {
      $0.rl.dynamicSampling = true
      $0.rl.numTrajectories = 2
    }
    run.rewards = try WeightedRewards([WeightedRewards.Term(Parity())])
    let trainer = try run.trainer(Ranks.alone())
    var next = 0
    var sawDrops = false
    for _ in 0..<6 {
      let report = try trainer.step()
      let ledger = try #require(report.prompts)
      #expect(ledger.first == next)
      next += ledger.count
      let dropped = ledger.dropped["uniform"] ?? []
      sawDrops = sawDrops || !dropped.isEmpty
      #expect(report.metrics["frac_reward_zero_std"] == 0)
      #expect(report.metrics["sampling/dropped_uniform"] ?? 0 == Double(dropped.count))
      #expect(ledger.count - dropped.count <= 5)
      // The batch is incomplete only if all four rounds were used.
      if ledger.count - dropped.count < 5 { #expect(report.metrics["sampling/rounds"] == 4) }
      #expect(trainer.state.nextGroup == next)
    }
    #expect(sawDrops)
  }

  @Test("Dynamic sampling ends, and if all groups are uniform, the step changes nothing")
  func bounded() throws {
    var run = try TinyRun { $0.rl.dynamicSampling = true }
    run.rewards = try WeightedRewards([WeightedRewards.Term(Constant())])
    let trainer = try run.trainer(Ranks.alone())
    let before = Fingerprint.of(trainer.learner.masters)
    let report = try trainer.step()
    #expect(report.metrics["sampling/rounds"] == 4)
    #expect(report.metrics["sampling/dropped_uniform"] == 20)
    #expect(report.prompts?.dropped["uniform"]?.count == 20)
    #expect(report.warning?.contains("no group") == true)
    #expect(Fingerprint.of(trainer.learner.masters) == before)
    #expect(trainer.stepCount == 1)
  }

  @Test("Dynamic sampling compares raw rewards without the length penalty")
  func rawRewards() throws {
    var run = try TinyRun {
      $0.rl.dynamicSampling = true
      $0.rl.maxResampleTimes = 0
      $0.rl.overlongCache = 5
    }
    run.rewards = try WeightedRewards([WeightedRewards.Term(Constant())])
    #expect(try run.trainer(Ranks.alone()).step().metrics["sampling/dropped_uniform"] == 5)
  }

  @Test("The overlong filter excludes unfinished trajectories from the loss, not from the statistics")
  func overlongFilter() throws {
    let plain = try TinyRun().trainer(Ranks.alone()).sampleGroups(step: 0).groups
    let filtered = try TinyRun { $0.rl.overlongFilter = true }.trainer(Ranks.alone()).sampleGroups(step: 0).groups
    for (plain, filtered) in zip(plain, filtered) {
      #expect(plain.rewards == filtered.rewards)
      for (one, two) in zip(plain.trajectories, filtered.trajectories) {
        #expect(two.logProbabilities == (one.finished ? one.logProbabilities : []))
        #expect(one.tokens == two.tokens)
      }
    }
    #expect(filtered.contains { $0.trajectories.contains { $0.logProbabilities.isEmpty } })
    let report = try TinyRun { $0.rl.overlongFilter = true }.trained(steps: 1).reports[0]
    let other = try TinyRun().trained(steps: 1).reports[0]
    #expect(report.metrics["completions/mean_length"] == other.metrics["completions/mean_length"])
  }

  /// As `ArbitraryReward`, but without a score for completions with an odd number of bytes, or for all.
  private struct Sometimes: Reward {
    let name = "sometimes"
    var isNever = false

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
      ArbitraryReward().score(
        prompt: prompt, completion: completion, completionTokens: completionTokens, finished: finished)
    }

    func outcomes(_ items: [RewardItem]) -> [RewardOutcome] {
      items.map { item in
        guard !isNever, item.completion.utf8.count.isMultiple(of: 2) else { return .unscored(.timeout) }
        return .scored(
          score(
            prompt: item.prompt, completion: item.completion, completionTokens: item.completionTokens,
            finished: item.finished),
          metrics: ["bytes": Double(item.completion.utf8.count)])
      }
    }
  }

  @Test("Unscored trajectories are excluded from their group; a group with fewer than two scores is dropped")
  func unscored() throws {
    var run = try TinyRun { $0.debug.assertExact = true }
    let all = try run.trainer(Ranks.alone()).sampleGroups(step: 0).groups
    run.rewards = try WeightedRewards([WeightedRewards.Term(Sometimes())])
    let trainer = try run.trainer(Ranks.alone())
    let some = try trainer.sampleGroups(step: 0).groups
    let wanted = all.map { group in
      let even = group.trajectories.indices.filter { index in
        let tokens = group.trajectories[index].generatedTokens.filter { $0 != trainer.tokenizer.endToken }
        return trainer.tokenizer.decode(tokens).utf8.count.isMultiple(of: 2)
      }
      return (group.id, even.map { group.trajectories[$0].id }, even.map { group.rewards[$0] })
    }.filter { $0.1.count >= 2 }
    #expect(some.map(\.id) == wanted.map(\.0))
    #expect(some.map { $0.trajectories.map(\.id) } == wanted.map(\.1))
    #expect(some.map(\.rewards) == wanted.map(\.2))
    let report = try trainer.step()
    let scored = 20 - (report.metrics["unscored/timeout"] ?? 0)
    #expect(scored > 0 && scored < 20)
    #expect(report.metrics["sampling/dropped_unscored"] == Double(5 - wanted.count))
    #expect((report.metrics["rewards/sometimes/bytes"] ?? 0) > 0)
  }

  @Test("A step without scores changes nothing and does not end the run")
  func neverScored() throws {
    var run = try TinyRun()
    run.rewards = try WeightedRewards([WeightedRewards.Term(Sometimes(isNever: true))])
    let trainer = try run.trainer(Ranks.alone())
    let before = Fingerprint.of(trainer.learner.masters)
    let report = try trainer.step()
    #expect(report.metrics["unscored/timeout"] == 20)
    #expect(report.prompts?.dropped["unscored"] == [0, 1, 2, 3, 4])
    #expect(Fingerprint.of(trainer.learner.masters) == before)
  }

  @Test("The entropy coefficient rises while the entropy is below its target, and stays within its bounds")
  func entropyTarget() throws {
    let reports = try TinyRun {
      $0.rl.entropyTarget = 100
      $0.rl.entropyDelta = 0.04
      $0.rl.entropyCoefMax = 0.1
    }.trained(steps: 4).reports
    #expect(reports.map { $0.metrics["entropy_coef"] } == [0.01, 0.05, 0.09, 0.1])
    let falling = try TinyRun {
      $0.rl.entropyTarget = 0.01
      $0.rl.entropyDelta = 0.006
    }.trained(steps: 3).reports
    #expect(falling.map { $0.metrics["entropy_coef"] } == [0.01, 0.004, 0])
    #expect(try TinyRun().trained(steps: 1).reports[0].metrics["entropy_coef"] == nil)
  }
}
