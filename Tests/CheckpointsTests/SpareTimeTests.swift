import Checkpoints
import Foundation
import Testing

/// Saving between other work gives the same files as saving without pauses.
@Suite("Saving in spare time")
struct SpareTimeTests {
  private func pieces() -> [TensorPiece] {
    (0..<6).map { number in
      let count = 200_000 + 1000 * number
      return TensorPiece(
        TensorKey("tensor.\(number)", .master), .float32, [count],
        elements: (0..<count).map { Float(($0 * 7919 + number) % 1013) / 1013 })
    }
  }

  private func write(_ files: MemoryFiles, threads: Int, _ spareTime: SpareTime?) throws -> [UInt8]? {
    try files.createDirectory("d")
    _ = try ShardWriter.write(pieces(), to: "model.qck", in: "d", threads: threads, files: files, spareTime: spareTime)
    return files.contents["d/model.qck"]
  }

  @Test("Pauses do not change any byte, with a waiting caller from the start or later", arguments: [1, 3])
  func sameBytes(threads: Int) throws {
    let whole = try write(MemoryFiles(), threads: threads, nil)
    #expect((whole?.count ?? 0) > 50_000)
    let hurried = SpareTime()
    hurried.hurry()
    #expect(try write(MemoryFiles(), threads: threads, hurried) == whole)
    let later = SpareTime()
    let thread = Thread {
      usleep(2000)
      later.hurry()
    }
    thread.start()
    #expect(try write(MemoryFiles(), threads: threads, later) == whole)
  }
}
