import Foundation
import Tensors
import Testing

@Suite("Memory and threads")
struct MemoryTests {
  private func isAligned(_ pointer: UnsafeMutableRawPointer) -> Bool { UInt(bitPattern: pointer) % 64 == 0 }

  @Test("A buffer is zeroed, on a 64-byte boundary, and clears")
  func buffers() {
    for count in [0, 1, 15, 16, 17, 1000] {
      let buffer = AlignedBuffer<Float>(count: count)
      #expect(isAligned(buffer.pointer) && buffer.count == count && buffer.array.allSatisfy { $0 == 0 })
      for index in 0..<count { buffer[index] = Float(index) }
      #expect(buffer.array == (0..<count).map(Float.init))
      buffer.clear()
      #expect(buffer.array.allSatisfy { $0 == 0 })
    }
  }

  @Test("An arena gives disjoint aligned memory, takes it back to a mark, and asks the system for no more")
  func arena() {
    let arena = Arena(chunkBytes: 1024)
    func step() -> [UnsafeMutablePointer<UInt8>] {
      arena.scoped {
        let sizes = [1, 64, 65, 700, 5000, 3, 300]
        let blocks = sizes.map { arena.allocate(UInt8.self, $0) }
        for (index, block) in blocks.enumerated() {
          #expect(isAligned(block))
          block.update(repeating: UInt8(index), count: sizes[index])
        }
        for (index, block) in blocks.enumerated() {
          #expect((0..<sizes[index]).allSatisfy { block[$0] == UInt8(index) })
        }
        return blocks
      }
    }
    _ = step()
    let first = step()
    let reserved = arena.reservedBytes
    for _ in 0..<5 { #expect(step() == first) }
    #expect(arena.reservedBytes == reserved)
    let mark = arena.mark()
    let kept = arena.allocate(Float.self, 4)
    arena.release(mark)
    #expect(arena.allocate(Float.self, 4) == kept)
    #expect(arena.zeros(3, 5).array == [Float](repeating: 0, count: 15))
  }

  @Test("Steps of ever other sizes reserve little more than the most that was in use at once")
  func raggedSteps() {
    let arena = Arena(chunkBytes: 1024)
    var state: UInt64 = 7
    func size() -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return 1000 + Int(state >> 33) % 9000
    }
    var most = 0
    for step in 0..<500 {
      arena.scoped {
        var used = 0
        for _ in 0..<20 {
          let bytes = size()
          used += (bytes + 63) & ~63
          arena.allocate(UInt8.self, bytes).update(repeating: UInt8(step % 251), count: bytes)
          most = max(most, used)
        }
      }
      #expect(arena.reservedBytes <= most + most / 8 + 1024, "step \(step)")
    }
  }

  @Test("A list in an arena holds what was appended, in order")
  func lists() {
    let arena = Arena()
    var list = ArenaList<Int32>(capacity: 3, in: arena)
    #expect(list.isEmpty)
    for value: Int32 in [5, -1, 7] { list.append(value) }
    let other = arena.allocate(Int32.self, 16)
    other.update(repeating: 9, count: 16)
    #expect(Array(list) == [5, -1, 7] && list.last == 7)
  }

  @Test("Rows of a matrix are views of the same memory")
  func matrices() {
    let arena = Arena()
    let matrix = arena.zeros(4, 3)
    for index in 0..<12 { matrix.pointer[index] = Float(index) }
    let part = matrix.rows(1..<3)
    #expect(part.array == [3, 4, 5, 6, 7, 8])
    part.row(1)[2] = -1
    #expect(matrix.row(2)[2] == -1)
    let copy = arena.matrix(2, 3)
    copy.copy(from: part)
    part.clear()
    #expect(copy.array == [3, 4, 5, 6, 7, -1] && matrix.array == [0, 1, 2, 0, 0, 0, 0, 0, 0, 9, 10, 11])
  }

  @Test("The parts of a loop cover it once, in order and in multiples of the grain")
  func parts() {
    for count in [0, 1, 5, 16, 17, 100] {
      for workers in 1...5 {
        for grain in [1, 8, 16] {
          let parts = (0..<workers).map { WorkerPool.part($0, of: workers, count: count, grain: grain) }
          #expect(parts.flatMap { Array($0) } == Array(0..<count))
          #expect(parts.allSatisfy { $0.isEmpty || $0.lowerBound % grain == 0 })
        }
      }
    }
  }

  @Test("Every index is visited once on any number of threads")
  func pool() {
    for threads in 1...4 {
      let visits = AlignedBuffer<Int32>(count: 1001)
      WorkerPool(threads: threads).each(1001) { worker, index in
        if worker < threads { visits.pointer[index] += 1 }
      }
      #expect(visits.array.allSatisfy { $0 == 1 })
      WorkerPool(threads: threads).each(0) { _, _ in Issue.record("nothing to visit") }
    }
  }

  @Test("The machine's instruction sets have names, the portable one first, and the one in use is as QUILLAN_ISA says")
  func names() {
    if let named = ProcessInfo.processInfo.environment["QUILLAN_ISA"] { #expect(Kernels.name == named) }
    #expect(Kernels.available.first == "portable")
    #expect(Kernels.available.contains(Kernels.name))
    #expect(Set(Kernels.available).count == Kernels.available.count)
    #expect(!Kernels.select("abacus"))
  }
}
