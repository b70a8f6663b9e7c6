import Foundation
import Layers
import MPI
import Parallelism
import Parameters
import Synchronization
import Telemetry
import Testing
import TestSupport
import Training
import TrainingSupport

/// Results that expert parallelism must not change, on all ranks of this process's job (see `ParallelismTests`).
@Suite(.serialized) struct ExpertParallelismTests {
  private static let miniMoEs = 8

  /// A run whose council can be divided by 2, 4 and 8, and in which ranks have different numbers of groups.
  private func run(_ expert: Int, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    try TinyRun {
      $0.model.numMiniMoes = Self.miniMoEs
      $0.debug.assertExact = true
      $0.parallel.expert = expert
      change(&$0)
    }
  }

  private func sizes(_ ranks: Communicator) -> [Int] {
    Ownership.validSizes(ranks: ranks.size, miniMoEs: Self.miniMoEs)
  }

  @Test(
    "Rollouts, rewards and losses of the first step match a run on one rank, with and without recomputation, for all micro-batches"
  )
  func firstStep() throws {
    let ranks = try Ranks.together()
    for (accumulation, recompute) in [(1, false), (3, false), (3, true)] {
      func change(_ configuration: inout RunConfiguration) {
        configuration.rl.accumulationSteps = accumulation
        configuration.rl.gradientCheckpointing = recompute
      }
      let alone = try ParallelismTests.Trace(run(1, change), Ranks.alone(), steps: 1, without: ["grad_norm"])
      for expert in sizes(ranks) {
        let together = try ParallelismTests.Trace(run(expert, change), ranks, steps: 1, without: ["grad_norm"])
        #expect(together.groups == alone.groups)
        #expect(together.metrics == alone.metrics, "parallel.expert \(expert)")
      }
    }
  }

  @Test(
    "With reproducible sums, losses, weights, moments and biases of 20 steps match a run on one rank",
    arguments: [1, 3])
  func reproducible(interval: Int) throws {
    let ranks = try Ranks.together()
    let steps = interval == 1 ? 20 : 6
    func change(_ configuration: inout RunConfiguration) {
      configuration.parallel.reproducible = true
      configuration.rl.oldPolicyInterval = interval
      configuration.rl.objective.klCoef = interval == 1 ? 0 : 0.05
      configuration.rl.gradientCheckpointing = interval == 3
    }
    let alone = try ParallelismTests.Trace(run(1, change), Ranks.alone(), steps: steps)
    for expert in sizes(ranks) {
      var run = try run(expert, change)
      run.threads = expert == 2 ? 2 : 1
      let together = try ParallelismTests.Trace(run, ranks, steps: steps)
      for step in 0..<steps {
        #expect(together.groups[step] == alone.groups[step], "parallel.expert \(expert), step \(step)")
        #expect(together.metrics[step] == alone.metrics[step], "parallel.expert \(expert), step \(step)")
      }
      #expect(together.weights == alone.weights, "parallel.expert \(expert)")
    }
  }

  @Test("With reproducible sums, weights of 5 pre-training steps match a run on one rank")
  func pretraining() throws {
    let ranks = try Ranks.together()
    func weights(_ expert: Int, _ communicator: Communicator) throws -> [Int64] {
      let trainer = try run(expert) { $0.parallel.reproducible = true }.pretrainer(communicator)
      for _ in 0..<5 { _ = try trainer.step() }
      return try Fingerprint.of(trainer.learner)
    }
    let alone = try weights(1, Ranks.alone())
    for expert in sizes(ranks) { #expect(try weights(expert, ranks) == alone, "parallel.expert \(expert)") }
  }

  @Test("The gradient norm counts every parameter once")
  func norm() throws {
    let ranks = try Ranks.together()
    for expert in sizes(ranks) {
      let assembly = try run(expert).assembly(ranks)
      let learner = try assembly.learner(assembly.masters())
      let table = assembly.model.table
      learner.begin()
      // The sums over the ranks are 3 for shared parameters and 4 for the council.
      var expected = 0.0
      for id in table.ids where table[id].role != .balanceBias {
        let isCouncil = table[id].miniMoE != nil
        expected += (isCouncil ? 16 : 9) * Double(table[id].count)
        guard learner.reducer.gradients.holds(id) else { continue }
        let ranksThatAdd = isCouncil ? learner.topology.dataGroup.size : ranks.size
        learner.reducer.gradients.values(id).update(repeating: (isCouncil ? 4 : 3) / Float(ranksThatAdd))
      }
      let norm = try learner.reduce().norm
      #expect(abs(norm - expected.squareRoot()) < 1e-9 * norm, "parallel.expert \(expert)")
    }
  }

  @Test("A non-finite loss on one rank stops all ranks with the message of that rank")
  func nonfinite() throws {
    let ranks = try Ranks.together()
    for reproducible in [false, true] {
      func message(_ expert: Int, _ communicator: Communicator) throws -> String {
        let trainer = try run(expert) { $0.parallel.reproducible = reproducible }.trainer(communicator)
        var groups = try trainer.sampleGroups(step: 0).groups
        if communicator.rank == communicator.size - 1 {
          let last = groups[groups.count - 1].trajectories.count - 1
          groups[groups.count - 1].trajectories[last] = groups[groups.count - 1].trajectories[last].damaged
        }
        do { _ = try trainer.trainStep(groups) } catch { return "\(error)" }
        return "no error"
      }
      let alone = try message(1, Ranks.alone())
      let last = try 4 * Ranks.groups() - 1
      #expect(alone.hasPrefix("step 1: the loss of trajectory \(last) is not finite; the gradient of "))
      for expert in sizes(ranks) {
        let together = try message(expert, ranks)
        if reproducible { #expect(together == alone) } else { #expect(together.hasPrefix(alone.prefix(70))) }
      }
    }
  }

  @Test("An older replica receives only changes and ends equal to the packing of the owners")
  func publication() throws {
    let ranks = try Ranks.together()
    for expert in sizes(ranks) {
      let trainer = try run(expert) {
        $0.rl.oldPolicyInterval = 2
        $0.rl.learningRate = 1e-6
      }.trainer(ranks)
      let first = try trainer.step().metrics
      let second = try trainer.step().metrics
      #expect((first["publication/bytes"] != nil) == (expert > 1))
      #expect((second["publication/bytes"] != nil) == (expert > 1))
      if let full = first["publication/bytes"], let changes = second["publication/bytes"],
        let share = second["publication/changed_share"]
      {
        #expect(full > 0 && changes > 0)
        #expect(share > 0 && share < 0.5)
      }
      let complete = try trainer.learner.wholeWeights().weights
      for id in complete.held where trainer.learner.weights.held.contains(id) {
        for (mine, replica) in zip(trainer.learner.weights.memory(id), complete.memory(id)) {
          #expect(mine.elementsEqual(replica))
        }
      }
      var sum = Fingerprint()
      for id in complete.held { for part in complete.memory(id) { for byte in part { sum.add(UInt64(byte)) } } }
      #expect(Set(try ranks.allGather(sum.value)).count == 1)
    }
  }

  @Test("An invalid expert group size gives an error with the valid sizes")
  func invalidSize() throws {
    let ranks = try Ranks.together()
    let odd = #expect(throws: ConfigurationError.self) { try run(3).assembly(ranks) }
    #expect(odd?.message.hasSuffix("set it to 1, 2, 4 or 8") == true)
    guard ranks.size < 4 else { return }
    let large = #expect(throws: ConfigurationError.self) { try run(4).assembly(ranks) }
    #expect(large?.problem.contains("parallel.expert is 4") == true)
    #expect(large?.remedy == (ranks.size == 1 ? "set it to 1" : "set it to 1 or 2"))
  }

  @Test("A weights file has all mini-MoEs of all owners")
  func weightsFile() throws {
    let ranks = try Ranks.together()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID().uuidString)")
    if ranks.rank == 0 { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    defer { if ranks.rank == 0 { try? FileManager.default.removeItem(at: folder) } }
    for expert in sizes(ranks) {
      let assembly = try run(expert).assembly(ranks)
      let path = folder.appendingPathComponent("\(expert).safetensors").path
      try WeightsFile.save(assembly.learner(assembly.masters()), to: ranks.rank == 0 ? path : nil)
      guard ranks.rank == 0 else { continue }
      let read = try assembly.masters(weights: path, whole: true)
      #expect(Fingerprint.of(read) == Fingerprint.of(try assembly.masters(whole: true)))
    }
  }

  @Test("Ranks that wait for a slow writer of weights are in no collective, which the watchdog would end")
  func slowWriter() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    let assembly = try run(1).assembly(ranks)
    let learner = try assembly.learner(assembly.masters())
    let longest = Mutex(0.0)
    let isOver = DispatchSemaphore(value: 0)
    let thread = Thread {
      while isOver.wait(timeout: .now() + 0.01) == .timedOut {
        let seconds = RankState(rank: ranks.rank, FlightRecorder.snapshot()).waiting?.seconds ?? 0
        longest.withLock { $0 = max($0, seconds) }
      }
    }
    try ranks.barrier()
    thread.start()
    if ranks.rank == 0 { Thread.sleep(forTimeInterval: 1.5) }
    try WeightsFile.save(learner, to: ranks.rank == 0 ? "\(folder.path)/weights.safetensors" : nil)
    // A rank that leaves `save` before the file exists waits in this barrier, which the thread above measures.
    try ranks.barrier()
    isOver.signal()
    #expect(longest.withLock { $0 } < 0.75)
  }
}
