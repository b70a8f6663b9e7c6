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
    _ values: UnsafeRawPointer, counts: [Int], into result: UnsafeMutableRawPointer, receiveCounts: [Int])
}

extension ExpertTransport {
  /// The same for arrays of `counts[r]` elements.
  func exchange<Element: BitwiseCopyable>(
    _ values: [Element], counts: [Int], receiveCounts: [Int], zero: Element
  ) -> [Element] {
    let width = MemoryLayout<Element>.stride
    var result = [Element](repeating: zero, count: max(1, receiveCounts.reduce(0, +)))
    (values + [zero]).withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        if let from = source.baseAddress, let to = target.baseAddress {
          exchange(from, counts: counts.map { $0 * width }, into: to, receiveCounts: receiveCounts.map { $0 * width })
        }
      }
    }
    return Array(result.prefix(receiveCounts.reduce(0, +)))
  }

  /// Everyone's `values`, in rank order; lengths may differ.
  func gather<Element: BitwiseCopyable>(_ values: [Element], zero: Element) -> [[Element]] {
    let one = [Int](repeating: 1, count: size)
    let lengths = exchange(
      [Int](repeating: values.count, count: size), counts: one, receiveCounts: one, zero: 0)
    let all = exchange(
      Array(repeatElement(values, count: size).joined()), counts: one.map { $0 * values.count },
      receiveCounts: lengths, zero: zero)
    var start = 0
    return lengths.map { length in
      defer { start += length }
      return Array(all[start..<start + length])
    }
  }
}
