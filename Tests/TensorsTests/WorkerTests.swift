import Foundation
import Synchronization
import Tensors
import Testing

@Suite("Parallel loops and regions")
struct WorkerTests {
  private static let threads = [1, 2, 3, 8]

  @Test("Every iteration runs once, however many threads there are", arguments: threads)
  func iterations(threads: Int) {
    let pool = WorkerPool(threads: threads, team: WorkerTeam())
    for count in [0, 1, 2, 7, 16, 1000] {
      let counts = AlignedBuffer<Int>(count: max(1, count))
      let other = AlignedBuffer<Int>(count: max(1, count))
      let spread = AlignedBuffer<Int>(count: max(1, count))
      for _ in 0..<50 {
        pool.each(count) { worker, index in
          #expect(worker < threads)
          counts.pointer[index] += 1
        }
        pool.spread(count) { worker, index in
          #expect(worker < threads)
          spread.pointer[index] += 1
        }
        pool.split(count, grain: 3) { worker, range in
          #expect(worker < threads)
          for index in range { other.pointer[index] += 1 }
        }
      }
      #expect(
        (0..<count).allSatisfy {
          counts.pointer[$0] == 50 && other.pointer[$0] == 50 && spread.pointer[$0] == 50
        })
    }
  }

  @Test("A loop does not wait for threads that have no part")
  func absentThread() {
    let pool = WorkerPool(threads: 2, team: WorkerTeam())
    // The first loop starts the second thread and holds it; the caller takes every part of loops beside it.
    let release = Atomic<Bool>(false)
    let held = Atomic<Bool>(false)
    let other = Thread {
      pool.split(2) { worker, _ in
        held.store(true, ordering: .sequentiallyConsistent)
        while !release.load(ordering: .sequentiallyConsistent) { sched_yield() }
      }
    }
    other.start()
    while !held.load(ordering: .sequentiallyConsistent) { sched_yield() }
    let sum = AlignedBuffer<Int>(count: 1)
    pool.each(100) { _, index in sum.pointer[0] += index }
    release.store(true, ordering: .sequentiallyConsistent)
    #expect(sum.pointer[0] == 4950)
  }

  @Test("The caller's thread has number 0 and part 0")
  func caller() {
    let pool = WorkerPool(threads: 4, team: WorkerTeam())
    let caller = pthread_self()
    for _ in 0..<200 {
      let isRight = Atomic<Bool>(true)
      pool.split(4) { worker, _ in
        if worker == 0 && pthread_equal(pthread_self(), caller) == 0 { isRight.store(false, ordering: .relaxed) }
      }
      pool.spread(64) { worker, _ in
        if (worker == 0) != (pthread_equal(pthread_self(), caller) != 0) { isRight.store(false, ordering: .relaxed) }
      }
      let wasRight = isRight.load(ordering: .relaxed)
      #expect(wasRight)
    }
  }

  @Test("Each stage of a region sees the results of the stages before it", arguments: threads)
  func stages(threads: Int) {
    let pool = WorkerPool(threads: threads, team: WorkerTeam())
    let width = 24
    let values = AlignedBuffer<Int>(count: width)
    let sums = AlignedBuffer<Int>(count: 1)
    for _ in 0..<30 {
      values.clear()
      sums.clear()
      let before = pool.loops
      pool.region { pool in
        for _ in 0..<10 {
          pool.spread(width) { _, index in values.pointer[index] += 1 + sums.pointer[0] % 7 }
          pool.once { sums.pointer[0] = (0..<width).reduce(0) { $0 + values.pointer[$1] } }
          pool.split(width, least: 5) { _, range in for index in range { values.pointer[index] += index } }
        }
      }
      #expect(pool.loops - before == (threads > 1 ? 1 : 0))
      var (expected, sum) = ([Int](repeating: 0, count: width), 0)
      for _ in 0..<10 {
        for index in 0..<width { expected[index] += 1 + sum % 7 }
        sum = expected.reduce(0, +)
        for index in 0..<width { expected[index] += index }
      }
      #expect(values.array == expected)
    }
  }

  @Test("A region or loop inside a loop runs on its own thread")
  func nested() {
    let pool = WorkerPool(threads: 3, team: WorkerTeam())
    let sums = AlignedBuffer<Int>(count: 3)
    for _ in 0..<100 {
      sums.clear()
      pool.split(3) { worker, _ in
        pool.region { inner in
          for _ in 0..<4 { inner.each(10) { _, index in sums.pointer[worker] += index } }
        }
      }
      #expect(sums.array == [180, 180, 180])
    }
  }
}
