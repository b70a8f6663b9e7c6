import Foundation
import Synchronization

/// Memory for one step's activations: allocating moves a pointer, and releasing a mark frees everything allocated
/// since.
///
/// Memory is kept, so a step that repeats allocates nothing from the system. When an arena that has several chunks is
/// released as a whole, it joins them into one chunk with room for the largest use so far. Otherwise steps of changing
/// shapes would leave more and more chunks into which nothing fits, because an allocation that does not fit into the
/// rest of a chunk begins the next one. Several threads may allocate; `mark` and `release` belong to the thread that
/// owns the step and must not run while another thread allocates.
public final class Arena: @unchecked Sendable {
  /// A state of the arena to return to.
  public struct Mark: Sendable {
    let chunk: Int
    let offset: Int
    let used: Int
  }

  private struct Chunk {
    let base: UnsafeMutableRawPointer
    let bytes: Int
  }

  private let lock = Mutex(())
  private var chunks: [Chunk] = []
  private var current = 0
  private var offset = 0
  /// Bytes of what is allocated now, and the most that ever were.
  private var used = 0
  private var most = 0
  private let chunkBytes: Int

  /// - Parameter chunkBytes: the minimum size of a chunk requested from the system.
  public init(chunkBytes: Int = 4 << 20) { self.chunkBytes = chunkBytes }

  deinit { for chunk in chunks { AlignedMemory.free(chunk.base, chunk.bytes) } }

  /// Bytes obtained from the system.
  public var reservedBytes: Int { lock.withLock { _ in chunks.reduce(0) { $0 + $1.bytes } } }

  public func mark() -> Mark { lock.withLock { _ in Mark(chunk: current, offset: offset, used: used) } }

  /// Frees everything that was allocated since `mark`.
  public func release(_ mark: Mark) {
    lock.withLock { _ in
      most = max(most, used)
      current = mark.chunk
      offset = mark.offset
      used = mark.used
      if used == 0, chunks.count > 1 { join() }
    }
  }

  /// Replaces all chunks, which must be empty, by a single chunk.
  private func join() {
    for chunk in chunks { AlignedMemory.free(chunk.base, chunk.bytes) }
    // An eighth more, so that slightly longer sequences need no new chunk; untouched pages cost nothing.
    let size = max(chunkBytes, most + most / 8)
    chunks = [Chunk(base: AlignedMemory.allocate(size), bytes: size)]
    current = 0
    offset = 0
  }

  /// Runs `body` and frees what `body` allocated in this arena.
  public func scoped<Result>(_ body: () throws -> Result) rethrows -> Result {
    let start = mark()
    defer { release(start) }
    return try body()
  }

  /// Uninitialised memory for `count` elements, on a 64-byte boundary.
  @inlinable
  public func allocate<Element: BitwiseCopyable>(_ type: Element.Type = Element.self, _ count: Int)
    -> UnsafeMutablePointer<Element>
  {
    precondition(count >= 0, "an allocation of \(count) elements")
    return allocate(byteCount: max(1, count) * MemoryLayout<Element>.stride)
      .bindMemory(to: Element.self, capacity: max(1, count))
  }

  @usableFromInline
  func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
    let bytes = AlignedMemory.padded(byteCount)
    return lock.withLock { _ in
      while current < chunks.count, offset + bytes > chunks[current].bytes {
        current += 1
        offset = 0
      }
      if current == chunks.count {
        let size = max(bytes, chunkBytes)
        chunks.append(Chunk(base: AlignedMemory.allocate(size), bytes: size))
        offset = 0
      }
      defer {
        offset += bytes
        used += bytes
      }
      return chunks[current].base + offset
    }
  }

  /// Uninitialised memory for a row of `count` numbers.
  public func vector(_ count: Int) -> Vector { view(Float.self, count) }

  /// An uninitialised matrix.
  public func matrix(_ rows: Int, _ columns: Int) -> Matrix {
    Matrix(allocate(Float.self, rows * columns), rows: rows, columns: columns)
  }

  /// A matrix of zeros.
  public func zeros(_ rows: Int, _ columns: Int) -> Matrix {
    let result = matrix(rows, columns)
    result.clear()
    return result
  }
}
