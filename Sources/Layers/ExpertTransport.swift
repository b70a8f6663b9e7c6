import Tensors

/// How bytes travel between the ranks of an expert group; `Parallelism` implements it over MPI.
///
/// A transport that has failed keeps the first error for whoever asks, and from then on leaves zeros behind: layers
/// compute on, and no number of theirs may be used before the transport was asked.
public protocol ExpertTransport: AnyObject {
  /// The ranks of the group, and this one's place among them.
  var size: Int { get }
  var rank: Int { get }

  /// Sends each rank r its block of `values`, `counts[r]` bytes, blocks one after another, and puts the blocks of
  /// `receiveCounts[r]` bytes from each rank r one after another into `result`. All ranks of the group call it.
  func exchange(
    _ values: UnsafeRawPointer, counts: ArenaList<Int>, into result: UnsafeMutableRawPointer,
    receiveCounts: ArenaList<Int>)
}

extension ExpertTransport {
  /// The same for blocks of `counts[r]` and `receiveCounts[r]` elements.
  func exchange<Element: BitwiseCopyable>(
    _ values: UnsafePointer<Element>, counts: ArenaList<Int>, into result: UnsafeMutablePointer<Element>,
    receiveCounts: ArenaList<Int>, _ scratch: Arena
  ) {
    scratch.scoped {
      var bytes = ArenaList<Int>(capacity: size, in: scratch)
      var receiveBytes = ArenaList<Int>(capacity: size, in: scratch)
      for rank in 0..<size {
        bytes.append(counts[rank] * MemoryLayout<Element>.stride)
        receiveBytes.append(receiveCounts[rank] * MemoryLayout<Element>.stride)
      }
      exchange(
        UnsafeRawPointer(values), counts: bytes, into: UnsafeMutableRawPointer(result), receiveCounts: receiveBytes)
    }
  }

  /// Everyone's `values`, in rank order, in the memory of `arena`; rank r has `counts[r]`.
  func gather<Element: BitwiseCopyable>(
    _ values: ArenaList<Element>, counts: ArenaList<Int>, in arena: Arena, _ scratch: Arena
  ) -> ArenaList<Element> {
    let result = ArenaList<Element>(uninitialized: counts.reduce(0, +), in: arena)
    scratch.scoped {
      var copies = ArenaList<Element>(capacity: size * values.count, in: scratch)
      for _ in 0..<size { copies.append(contentsOf: values.buffer) }
      exchange(
        copies.pointer, counts: ArenaList(repeating: values.count, count: size, in: scratch), into: result.pointer,
        receiveCounts: counts, scratch)
    }
    return result
  }
}
