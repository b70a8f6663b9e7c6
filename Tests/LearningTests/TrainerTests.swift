import LowBit
import Models
import Objectives
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct TrainerTests {
  @Test("Rollout and training log-probabilities are the same bits in every format", arguments: NumberFormat.allCases)
  func exact(format: NumberFormat) throws {
    for (diffusion, interval) in [(true, 1), (false, 3)] {
      var run = try TinyRun {
        $0.precision.overseer = format
        $0.precision.attention = format
        $0.precision.diffusion = format
        $0.precision.experts = format
        $0.precision.agents = format
        $0.precision.head = format
        $0.model.useBitDiffusion = diffusion
        $0.rl.objective.temperature = 0.7
        $0.rl.oldPolicyInterval = interval
        $0.debug.assertExact = true
      }
      run.threads = 3
      let reports = try run.trained(steps: 7).reports
      for report in reports {
        let difference = report.metrics["rollout/logp_abs_diff_max"]
        // Only the first step after a publication compares equal weights.
        #expect(difference == (report.step % interval == 0 ? 0 : nil), "step \(report.step)")
        if report.step % interval == 0 {
          #expect(report.metrics["kl"] == 0 && report.metrics["ratio/mean"] == 1)
        } else {
          #expect(report.metrics["ratio/mean"] != 1)
        }
      }
    }
  }

  @Test("A difference of one bit in old log-probabilities stops a run with assert_exact")
  func inexact() throws {
    let trainer = try TinyRun { $0.debug.assertExact = true }.trainer(Ranks.alone())
    var groups = try trainer.sampleGroups(step: 0).groups
    let good = groups[3].trajectories[2]
    var values = good.logProbabilities
    values[0] = values[0].nextUp
    groups[3].trajectories[2] = Trajectory(
      id: good.id, promptID: good.promptID, promptLength: good.promptLength, tokens: good.tokens, mask: good.mask,
      latents: good.latents, logProbabilities: values, finished: good.finished)
    let error = #expect(throws: TrainingError.self) { try trainer.trainStep(groups) }
    #expect(error?.description.contains("step 1: rollout and training log-probabilities differ") == true)
    #expect(error?.description.contains("in group 3") == true)
  }

  @Test("Every split into micro-batches gives the same bits of the loss")
  func accumulation() throws {
    let names: Set<String> = ["grad_norm"]
    let undivided = try TinyRun().trained(steps: 1).reports[0].metrics.bits(without: names)
    for parts in [2, 5, 7, 20] {
      let split = try TinyRun { $0.rl.accumulationSteps = parts }.trained(steps: 1).reports[0]
      #expect(split.metrics.bits(without: names) == undivided, "\(parts)")
    }
  }

  @Test("Recomputed activations give the same weights and metrics")
  func checkpointing() throws {
    let retained = try TinyRun().trained(steps: 3)
    let recomputed = try TinyRun { $0.rl.gradientCheckpointing = true }.trained(steps: 3)
    #expect(Fingerprint.of(recomputed.trainer.learner.masters) == Fingerprint.of(retained.trainer.learner.masters))
    #expect(recomputed.reports.map { $0.metrics.bits() } == retained.reports.map { $0.metrics.bits() })
  }

  @Test("The KL divergence from the reference starts at 0 and grows, less with a weight")
  func reference() throws {
    let free = try TinyRun { $0.rl.objective.klCoef = 1e-9 }.trained(steps: 8).reports
    #expect(free[0].metrics["loss/kl_reference"] == 0)
    #expect(free.dropFirst().allSatisfy { ($0.metrics["loss/kl_reference"] ?? 0) > 0 })
    let held = try TinyRun { $0.rl.objective.klCoef = 50 }.trained(steps: 8).reports
    #expect((held[7].metrics["loss/kl_reference"] ?? 1) < (free[7].metrics["loss/kl_reference"] ?? 0))
    #expect(try TinyRun().trained(steps: 1).reports[0].metrics["loss/kl_reference"] == nil)
  }

  @Test("The same seed gives the same run, and another seed a different one")
  func seeds() throws {
    let first = try TinyRun().trained(steps: 3)
    let again = try TinyRun().trained(steps: 3)
    #expect(first.reports.map { $0.metrics.bits() } == again.reports.map { $0.metrics.bits() })
    #expect(Fingerprint.of(first.trainer.learner.masters) == Fingerprint.of(again.trainer.learner.masters))
    let other = try TinyRun { $0.rl.seed = 1 }.trained(steps: 1)
    #expect(other.reports[0].metrics["loss"] != first.reports[0].metrics["loss"])
  }

  @Test("The old policy is unchanged until the next publication")
  func oldPolicy() throws {
    let trainer = try TinyRun { $0.rl.oldPolicyInterval = 100 }.trainer(Ranks.alone())
    let before = try trainer.sampleGroups(step: 9).groups.flatMap(\.trajectories)
    for _ in 0..<2 { _ = try trainer.trainStep(trainer.sampleGroups(step: trainer.stepCount).groups) }
    #expect(try trainer.sampleGroups(step: 9).groups.flatMap(\.trajectories) == before)
    try trainer.updateOldPolicy()
    #expect(try trainer.sampleGroups(step: 9).groups.flatMap(\.trajectories) != before)
  }

  @Test("The latent accuracy is reported and rises as the denoiser learns")
  func latentAccuracy() throws {
    let reports = try TinyRun { $0.rl.objective.diffusionLossCoef = 5 }.trained(steps: 20).reports
    let shares = reports.compactMap { $0.metrics["latent/accuracy"] }
    #expect(shares.count == 20 && shares.allSatisfy { $0 > 0.3 && $0 < 1 })
    #expect(shares[15...].reduce(0, +) > shares[..<5].reduce(0, +))
    #expect(
      try TinyRun { $0.model.useBitDiffusion = false }.trained(steps: 1).reports[0].metrics["latent/accuracy"] == nil)
  }
}
