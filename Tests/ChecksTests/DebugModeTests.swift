import Checks
import Configuration
import Foundation
import Learning
import LowBit
import Models
import MPI
import Parameters
import Rollouts
import Testing
import TrainingSupport

/// Findings of debug mode. All ranks must report the same.
@Suite(.serialized) struct DebugModeTests {
  @Test("A difference of one bit is reported with tensor, element and ranks; equal replicas pass")
  func replicas() throws {
    let ranks = try Ranks.together()
    let trainer = try TinyRun { $0.debug.checks = true }.trainer(ranks)
    let learner = trainer.learner
    let debug = try #require(learner.observer as? DebugChecks)
    try debug.stepped(10, learner, loads: nil)
    let last = ranks.size - 1
    let values = learner.masters.values(learner.model.table.require("layers.1.attention.qkv.weight"))
    if ranks.rank == last, last > 0 { values[17] = Float(bitPattern: values[17].bitPattern ^ 1) }
    // Not due at this step.
    try debug.stepped(11, learner, loads: nil)
    guard last > 0 else { return }
    let error = #expect(throws: TrainingError.self) { try debug.stepped(20, learner, loads: nil) }
    #expect(error?.isAgreed == true)
    let start = "step 20: replicas differ: layers.1.attention.qkv.weight[17] is "
    #expect(error?.description.hasPrefix(start) == true)
    #expect(error?.description.contains(" on rank 0 and ") == true)
    #expect(error?.description.contains(" on rank \(last); ") == true)
  }

  @Test("Mini-MoEs are compared between expert groups")
  func councils() throws {
    let ranks = try Ranks.together()
    guard ranks.size == 4 else { return }
    let trainer = try TinyRun {
      $0.debug.checks = true
      $0.model.numMiniMoes = 4
      $0.parallel.expert = 2
    }.trainer(ranks)
    let learner = trainer.learner
    // Ranks 1 and 3 hold the same mini-MoEs.
    if ranks.rank == 3, let id = learner.masters.held.last(where: { learner.model.table[$0].miniMoE != nil }) {
      learner.masters.values(id)[0] += 1
    }
    let error = #expect(throws: TrainingError.self) {
      try (learner.observer as? DebugChecks)?.stepped(10, learner, loads: nil)
    }
    #expect(error?.description.hasPrefix("step 10: replicas differ: mini_moes.3.") == true)
    #expect(error?.description.contains(" on rank 1 and ") == true)
  }

  @Test("A NaN weight is reported even if the number format rounds it to a finite value")
  func weights() throws {
    let ranks = try Ranks.together()
    let trainer = try TinyRun { $0.debug.checks = true }.pretrainer(ranks) { masters in
      masters.values(masters.table.require("layers.1.attention.qkv.weight"))[3] = .nan
    }
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    let speaker = ranks.size > 1 ? "rank 0: " : ""
    let start = "step 1: \(speaker)the weight layers.1.attention.qkv.weight[3] is nan; "
    #expect(error?.description.hasPrefix(start) == true)
  }

  @Test("A NaN activation is reported for the first layer that computes one", arguments: [0, 1])
  func activations(layer: Int) throws {
    let ranks = try Ranks.together()
    let trainer = try TinyRun {
      $0.debug.checks = true
      $0.precision.attention = .fp32
    }.pretrainer(ranks)
    // The packed weights are damaged; the masters are not.
    let learner = trainer.learner
    learner.weights.values(learner.model.table.require("layers.\(layer).attention_norm.weight"))[0] = .nan
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    #expect(error?.isAgreed == true)
    let text = try #require(error?.description)
    #expect(text.hasPrefix("step 1: "))
    #expect(text.contains("layer \(layer) forward, attention is nan, sequence 0, "))
  }

  @Test("A NaN gradient of the loss is reported at the start of the backward pass with the trajectory")
  func gradients() throws {
    let ranks = try Ranks.together()
    let trainer = try TinyRun { $0.debug.checks = true }.trainer(ranks)
    var groups = try trainer.sampleGroups(step: 0).groups
    if ranks.rank == ranks.size - 1 {
      let last = groups[groups.count - 1].trajectories.count - 1
      groups[groups.count - 1].trajectories[last] = groups[groups.count - 1].trajectories[last].damaged
    }
    let error = #expect(throws: TrainingError.self) { try trainer.trainStep(groups) }
    let text = try #require(error?.description)
    // Of several ranks, the one that trains on the trajectory, whichever sampled it.
    let places = ranks.size > 1 ? (0..<ranks.size).map { "rank \($0): " } : [""]
    let found = places.filter { text.hasPrefix("step 1: \($0)head backward, gradient of loss is nan, sequence 19, ") }
    #expect(found.count == 1, "\(text)")
  }

  @Test("Debug mode does not change results")
  func changesNothing() throws {
    let ranks = try Ranks.together()
    func run(_ checks: Bool) throws -> ([[String: UInt64]], Fingerprint) {
      let trainer = try TinyRun {
        $0.debug.checks = checks
        $0.debug.checkGradients = ["value_head.*"]
        $0.parallel.reproducible = true
      }.trainer(ranks)
      let metrics = try (0..<3).map { _ in try trainer.step().metrics.bits() }
      return (metrics, Fingerprint.of(trainer.learner.masters))
    }
    let (plain, checked) = (try run(false), try run(true))
    #expect(plain.0 == checked.0)
    #expect(plain.1 == checked.1)
  }

  /// The rows of the gradient check in the first step of a run.
  private func rows(_ change: (inout RunConfiguration) -> Void) throws -> [Substring] {
    let run = try TinyRun {
      $0.debug.checks = true
      $0.rl.batchSize = 1
      change(&$0)
    }
    let trainer = try run.trainer(Ranks.alone())
    _ = try trainer.step()
    return try #require((trainer.learner.observer as? DebugChecks)?.takeGradientTable()).split(separator: "\n")
  }

  @Test("In fp32 the gradients of all tensors agree with finite differences")
  func finiteDifferences() throws {
    let rows = try rows {
      $0.precision.overseer = .fp32
      $0.precision.attention = .fp32
      $0.precision.diffusion = .fp32
      $0.precision.experts = .fp32
      $0.precision.agents = .fp32
      $0.precision.head = .fp32
      $0.rl.useMixedPrecision = false
      $0.debug.checkGradients = ["*"]
    }
    #expect(rows.filter { $0.contains("DIFFERS") || $0.contains("NOT FINITE") }.isEmpty)
    let agreeing = rows.filter { $0.hasSuffix("agrees") }
    #expect(agreeing.count > 20)
    for part in ["layers.", "embedding.weight", "mini_moes.", "overseer.", "diffusion.", "value_head."] {
      #expect(agreeing.contains { $0.hasPrefix(part) }, "\(part)")
    }
  }

  @Test("A wrong gradient is reported", arguments: [1, 1.05])
  func wrongGradient(factor: Double) throws {
    let learner = try TinyRun().trainer(Ranks.alone()).learner
    let id = learner.model.table.require("value_head.weight")
    let count = learner.model.table[id].count
    // The loss factor · Σ i·wᵢ² / 2, with the gradient of Σ i·wᵢ² / 2.
    let table = GradientCheck(learner, patterns: ["value_head.weight"]).table { weights, gradients, _ in
      let values = (0..<count).map { Double(weights.values(id)[$0]) }
      for index in 0..<count { gradients.store.values(id)[index] = Float(Double(index) * values[index]) }
      let loss = values.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element * $1.element / 2 }
      return CheckedLoss(trunk: 0, value: factor * loss)
    }
    let row = try #require(table.split(separator: "\n").last)
    #expect(row.hasPrefix("value_head.weight") && row.hasSuffix(factor == 1 ? "agrees" : "DIFFERS"))
    #expect(row.contains(factor == 1 ? "0.00 %" : " 5.00 %"))
  }

  @Test("In rounded formats, the table gives the reason why a tensor is not checked, and the value head is checked")
  func staircases() throws {
    let rows = try rows { $0.debug.checkGradients = ["layers.0.*", "value_head.weight", "*.router.bias"] }
    let layers = rows.filter { $0.hasPrefix("layers.0.") && !$0.contains("router.bias") }
    #expect(!layers.isEmpty)
    #expect(layers.allSatisfy { $0.contains("not checked: the loss depends on overseer in fp16, a step function") })
    #expect(rows.contains { $0.contains("router.bias") && $0.contains("not checked: adjusted by loads") })
    #expect(rows.contains { $0.hasPrefix("value_head.weight") && $0.hasSuffix("agrees") })
    let none = try self.rows { $0.debug.checkGradients = ["layer.*"] }
    #expect(none == ["no tensor matches layer.*"])
  }
}
