import Tensors

/// Moves bytes between the ranks of an expert group. Module `Parallelism` implements it over MPI.
///
/// A transport that has failed keeps the first error and from then on returns zeros: layers go on computing, and no
/// result may be used before the transport has been asked for errors.
public protocol ExpertTransport: AnyObject {
  /// Number of ranks of the group, and the index of this rank.
  var size: Int { get }
  var rank: Int { get }

  /// Sends block r of `values`, `counts[r]` bytes, to each rank r, and writes the blocks received from the ranks,
  /// `receiveCounts[r]` bytes each, to `result` in rank order. All ranks of the group call it.
  func exchange(
    _ values: UnsafeRawPointer, counts: ArenaList<Int>, into result: UnsafeMutableRawPointer,
    receiveCounts: ArenaList<Int>)
}

extension ExpertTransport {
  /// As above, with counts in elements.
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

  /// All-gathers `values` in rank order into the memory of `arena`; rank r contributes `counts[r]` elements.
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
