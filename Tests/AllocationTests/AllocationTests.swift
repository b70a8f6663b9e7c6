import CAllocations
import Foundation
import Layers
import LowBit
import MPI
import Models
import Optimizers
import Parallelism
import Parameters
import Tensors
import TestSupport
import Testing

/// On one thread: the caller's, whose allocations are counted.
@Suite("Allocations of a steady-state step")
struct AllocationTests {
  private static func allocations(of work: () -> Void) -> Int64 {
    allocations_count(true)
    work()
    allocations_count(false)
    return allocations_counted()
  }

  @Test("the counter sees an allocation of Swift's and of the C library")
  func counter() {
    var kept: [Int] = []
    #expect(Self.allocations { kept = [Int](repeating: 1, count: 1000) } >= 1)
    let block = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 1)
    #expect(Self.allocations { block.pointee = malloc(kept.count) } == 1)
    free(block.pointee)
    block.deallocate()
    #expect(Self.allocations { kept[3] = 7 } == 0)
  }

  @Test("the optimizer's pass and the squared sums allocate nothing", arguments: MomentFormat.allCases)
  func optimizer(_ format: MomentFormat) throws {
    let tiny = try TinyModel(seed: 1)
    let (model, masters, gradients) = (tiny.model, tiny.masters, tiny.gradients)
    let pool = WorkerPool(threads: 1)
    let ids = model.table.ids.filter { model.table[$0].role != .balanceBias }
    let state = AdamWState(
      AdamW(), table: model.table, parts: ids.map { ParameterPart($0, 0..<model.table[$0].count) }, format: format,
      threads: 1)
    let sums = SquaredSums(model.table, counting: ids)
    func step(_ number: Int) {
      sums.take(from: gradients, pool: pool)
      let scale = GradientNorm.clipScale(norm: sums.norm, maximum: 1)
      state.step(
        masters: masters, gradients: gradients, learningRate: 1e-3, step: number, clipScale: Float(scale), pool: pool)
      gradients.buffer.clear(pool)
    }
    step(1)
    #expect(Self.allocations { step(2) } == 0)
  }

  @Test("forward and backward allocate nothing, in every format", arguments: NumberFormat.allCases, [false, true])
  func passes(_ format: NumberFormat, mixedPrecision: Bool) throws {
    for retention in [Retention.everything, .layerInputs] {
      let passes = try CountedPasses(format, retention: retention, mixedPrecision: mixedPrecision)
      // The first two let the arenas grow.
      _ = passes.run()
      _ = passes.run()
      #expect(passes.run() == CountedPasses.Counts())
    }
  }

  @Test("recording phases and collectives allocates nothing, also after the ring is full")
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
    let count = Self.allocations {
      do { for _ in 0..<FlightRecorder.capacity { try record() } } catch { failure = error }
    }
    #expect(count == 0)
    #expect(failure == nil)
  }

  @Test("packing the masters allocates nothing")
  func packing() throws {
    let tiny = try TinyModel(seed: 1)
    let pool = tiny.context.pool
    #expect(Self.allocations { tiny.weights.pack(tiny.masters, pool: pool) } == 0)
  }
}
