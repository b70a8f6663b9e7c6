import MPI
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct RecordedTrajectoriesTests {
  private func trainer(
    _ groups: [RecordedGroup], _ communicator: Communicator, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> Trainer {
    let run = try TinyRun {
      $0.rl.batchSize = 4
      change(&$0)
    }
    let assembly = try run.assembly(communicator)
    return try Trainer(
      configuration: run.configuration, learner: assembly.learner(assembly.masters()), recorded: groups,
      tokenizer: assembly.tokenizer)
  }

  private static func sequence(_ prompt: [Int32], _ written: [Int32], _ logProbabilities: [Float]? = nil)
    -> RecordedSequence
  {
    RecordedSequence(
      tokens: prompt + written, mask: prompt.map { _ in false } + written.map { _ in true },
      logProbabilities: logProbabilities)
  }

  /// Six groups of three trajectories; the second trajectory of each group has two sequences.
  private static func groups(_ logProbabilities: Float? = nil) -> [RecordedGroup] {
    (0..<6).map { (number: Int32) in
      let prompt: [Int32] = [65, 66 + number]
      func continuation(_ written: [Int32]) -> RecordedSequence {
        sequence(prompt, written, logProbabilities.map { value in written.map { _ in value } })
      }
      return RecordedGroup(
        question: "q\(number)",
        trajectories: [
          RecordedTrajectory(sequences: [continuation([70, 71, 256])], reward: 1),
          RecordedTrajectory(sequences: [continuation([72]), continuation([73, 256])], reward: 0),
          RecordedTrajectory(sequences: [continuation([74, 75])], reward: number == 0 ? nil : 0.25),
        ],
        origin: "recorded.jsonl:\(number + 1)")
    }
  }

  @Test("Missing log-probabilities are computed from the current policy, so the first ratios are exactly 1")
  func missing() throws {
    let trainer = try trainer(Self.groups(), Ranks.alone()) { $0.debug.assertExact = true }
    for _ in 0..<3 {
      let report = try trainer.step()
      #expect(report.metrics["rollout/logp_abs_diff_max"] == 0)
      #expect(report.metrics["ratio/mean"] == 1)
    }
  }

  @Test(
    "Each group occurs once per epoch; unscored trajectories are excluded; sequences of a trajectory share its advantage"
  )
  func order() throws {
    let trainer = try trainer(Self.groups(), Ranks.alone()) { $0.rl.batchSize = 6 }
    let first = try trainer.sampleGroups(step: 0).groups
    let second = try trainer.sampleGroups(step: 1).groups
    func openings(_ groups: [TrajectoryGroup]) -> [Int32] { groups.map { $0.trajectories[0].tokens[1] } }
    #expect(Set(openings(first)) == Set(66..<72) && Set(openings(second)) == Set(66..<72))
    #expect(openings(first) != openings(second))
    for group in first {
      let isShort = group.trajectories[0].tokens[1] == 66
      #expect(group.owners == (isShort ? [0, 1, 1] : [0, 1, 1, 2]))
      #expect(group.rewards == (isShort ? [1, 0, 0] : [1, 0, 0, 0.25]))
    }
    #expect(Set((first + second).flatMap { $0.trajectories.map(\.id) }).count == 2 * 23)
    let report = try trainer.step()
    #expect(report.metrics["unscored/none"] == 1)
    #expect(report.metrics["reward"].map { abs($0 - (0.5 + 5 * 1.25 / 3) / 6) < 1e-12 } == true)
  }

  @Test("Recorded log-probabilities count as the old policy, and training makes better trajectories more probable")
  func recorded() throws {
    let trainer = try trainer(Self.groups(-5.5), Ranks.alone()) {
      $0.debug.assertExact = true
      $0.rl.batchSize = 6
      $0.rl.objective.clipEpsilonHigh = 100
      $0.rl.objective.entropyCoef = 0
    }
    let old = try trainer.sampleGroups(step: 0).groups.flatMap(\.trajectories)
    #expect(old.allSatisfy { $0.logProbabilities.allSatisfy { $0 == -5.5 } })
    let ratios = try (0..<12).map { _ in try trainer.step().metrics["ratio/mean"] ?? 0 }
    #expect(ratios[0] != 1 && ratios[11] > ratios[0])
  }

  @Test("A sequence that is too long for the model is rejected before the run")
  func tooLong() throws {
    let long = RecordedGroup(
      question: "",
      trajectories: [
        RecordedTrajectory(sequences: [Self.sequence([65], [Int32](repeating: 66, count: 40))], reward: 1)
      ],
      origin: "recorded.jsonl:9")
    let error = #expect(throws: TrainingError.self) { try trainer([long], Ranks.alone()) }
    #expect(error?.description.contains("recorded.jsonl:9") == true)
  }
}
