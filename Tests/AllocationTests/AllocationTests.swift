import CAllocations
import Foundation
import Layers
import LowBit
import MPI
import Models
import Objectives
import Optimizers
import Parallelism
import Parameters
import Telemetry
import Tensors
import TestSupport
import Testing

/// Forward, loss, backward and optimizer on 1, 2 and 4 threads; `ParallelismTests` counts a learner's whole step, sums over
/// the ranks included. The rest of a step may allocate: rollouts and what they leave (trajectories, objectives, noise of
/// the diffusion loss), the cut into micro-batches, publications of the policy, and the step's records and report.
@Suite("Allocations of a steady-state step")
struct AllocationTests {
  @Test("The counter sees an allocation of Swift's and of the C library")
  func counter() {
    let counter = AllocationCounter(threads: 1)
    var kept: [Int] = []
    #expect(counter.allocations { kept = [Int](repeating: 1, count: 1000) } >= 1)
    let block = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 1)
    #expect(counter.allocations { block.pointee = malloc(kept.count) } == 1)
    free(block.pointee)
    block.deallocate()
    #expect(counter.allocations { kept[3] = 7 } == 0)
  }

  @Test("The counter sees the allocations of every thread", arguments: [2, 4])
  func counterOfThreads(_ threads: Int) {
    let counter = AllocationCounter(threads: threads)
    let blocks = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: threads)
    defer { blocks.deallocate() }
    let count = counter.allocations {
      counter.pool.each(threads) { worker, index in blocks[index] = malloc(worker + 1) }
    }
    #expect(count == Int64(threads))
    for index in 0..<threads { free(blocks[index]) }
  }

  @Test("A parallel loop allocates nothing, nor does one inside it", arguments: [1, 2, 4])
  func loops(_ threads: Int) {
    let counter = AllocationCounter(threads: threads)
    let pool = counter.pool
    let sums = UnsafeMutablePointer<Int>.allocate(capacity: 1000)
    defer { sums.deallocate() }
    sums.initialize(repeating: 0, count: 1000)
    func add() {
      pool.split(1000) { _, range in
        pool.each(range.count) { _, index in sums[range.lowerBound + index] += index + threads }
      }
    }
    add()
    let once = (0..<1000).map { sums[$0] }
    #expect(counter.allocations { for _ in 0..<1000 { add() } } == 0)
    #expect((0..<1000).map { sums[$0] } == once.map { $0 * 1001 })
  }

  @Test("The optimizer's pass and the squared sums allocate nothing", arguments: MomentFormat.allCases, [1, 2, 4])
  func optimizer(_ format: MomentFormat, threads: Int) throws {
    let counter = AllocationCounter(threads: threads)
    let tiny = try TinyModel(seed: 1)
    let (model, masters, gradients) = (tiny.model, tiny.masters, tiny.gradients)
    let pool = counter.pool
    let ids = model.table.ids.filter { model.table[$0].role != .balanceBias }
    let state = AdamWState(
      AdamW(), table: model.table, parts: ids.map { ParameterPart($0, 0..<model.table[$0].count) }, format: format,
      threads: threads)
    let sums = SquaredSums(model.table, counting: ids)
    func step(_ number: Int) {
      sums.take(from: gradients, pool: pool)
      let scale = GradientNorm.clipScale(norm: sums.norm, maximum: 1)
      state.step(
        masters: masters, gradients: gradients, learningRate: 1e-3, step: number, clipScale: Float(scale), pool: pool)
      gradients.buffer.clear(pool)
    }
    step(1)
    #expect(counter.allocations { step(2) } == 0)
  }

  @Test("Forward and backward allocate nothing, in every format", arguments: NumberFormat.allCases, [1, 2, 4])
  func passes(_ format: NumberFormat, threads: Int) throws {
    let counter = AllocationCounter(threads: threads)
    for (retention, mixedPrecision) in [
      (Retention.everything, false), (.everything, true), (.layerInputs, false), (.layerInputs, true),
    ] {
      let passes = try CountedPasses(format, retention: retention, mixedPrecision: mixedPrecision, counter)
      // The first two let the arenas grow.
      _ = passes.run()
      _ = passes.run()
      #expect(passes.run() == CountedPasses.Counts())
    }
  }

  @Test(
    "The policy loss allocates nothing: forward, objective, backward", arguments: [Retention.everything, .layerInputs],
    [1, 2, 4])
  func policyLoss(_ retention: Retention, threads: Int) throws {
    for (mixedPrecision, ratio) in [(false, RatioMode.token), (true, .sequence)] {
      let loss = try CountedLoss(
        retention: retention, mixedPrecision: mixedPrecision, ratio: ratio, AllocationCounter(threads: threads))
      // The first two let the arenas grow.
      _ = loss.run()
      _ = loss.run()
      #expect(loss.run() == 0)
      #expect(loss.terms.policy != 0 && loss.terms.aux > 0 && loss.terms.diffusion > 0)
    }
  }

  @Test(
    "Nor does that of expert parallelism, whether units mix or not, and in a rank without trajectories",
    arguments: [Retention.everything, .layerInputs], [1, 2])
  func expertParallelism(_ retention: Retention, ranks: Int) throws {
    for separate in [false, true] {
      let meeting = SharedTransport.Meeting(ranks: ranks)
      let losses = try (0..<ranks).map { rank in
        try CountedLoss(
          retention: retention, mixedPrecision: true, members: 4, over: SharedTransport(meeting, rank: rank),
          takesPart: rank == 0, separate: separate, AllocationCounter(threads: 1))
      }
      let counts = AlignedBuffer<Int64>(count: ranks)
      let done = DispatchSemaphore(value: 0)
      for (rank, loss) in losses.enumerated() {
        Thread.detachNewThread {
          for _ in 0..<3 { counts.pointer[rank] = loss.run() }
          done.signal()
        }
      }
      for _ in losses { done.wait() }
      #expect(counts.array.allSatisfy { $0 == 0 }, "\(counts.array)")
      #expect(losses[0].terms.policy != 0 && losses[0].terms.aux > 0)
    }
  }

  @Test("Recording phases and collectives allocates nothing, also after the ring is full")
  func recording() throws {
    let world = try MPI.Environment.initialize()
    atexit { try? MPI.Environment.finalize() }
    func record() throws {
      try FlightRecorder.phase("layer", 2, "forward") {
        try world.recorded(.barrier, 0, nil, CallSite(#fileID, #line)) {}
      }
    }
    for _ in 0..<FlightRecorder.capacity { try record() }
    var failure: (any Error)?
    let counter = AllocationCounter(threads: 1)
    let count = counter.allocations {
      do { for _ in 0..<FlightRecorder.capacity { try record() } } catch { failure = error }
    }
    #expect(count == 0)
    #expect(failure == nil)
  }

  @Test("Packing the masters allocates nothing", arguments: [1, 2, 4])
  func packing(_ threads: Int) throws {
    let counter = AllocationCounter(threads: threads)
    let tiny = try TinyModel(seed: 1)
    #expect(counter.allocations { tiny.weights.pack(tiny.masters, pool: counter.pool) } == 0)
  }
}
