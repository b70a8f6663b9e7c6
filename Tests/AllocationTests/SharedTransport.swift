import Glibc
import Layers
import Tensors

/// Ranks that are threads of this process: each copies what the others have for it. Allocates nothing once made.
final class SharedTransport: ExpertTransport {
  /// Where the ranks meet.
  final class Meeting: @unchecked Sendable {
    struct Offer {
      let values: UnsafeRawPointer
      let counts: ArenaList<Int>
    }

    let ranks: Int
    /// What each rank has for the others.
    let offers: UnsafeMutablePointer<Offer?>
    private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

    init(ranks: Int) {
      self.ranks = ranks
      offers = .allocate(capacity: ranks)
      offers.initialize(repeating: nil, count: ranks)
      pthread_barrier_init(barrier, nil, UInt32(ranks))
    }

    deinit {
      pthread_barrier_destroy(barrier)
      barrier.deallocate()
      offers.deallocate()
    }

    func wait() { pthread_barrier_wait(barrier) }
  }

  let rank: Int
  private let meeting: Meeting

  init(_ meeting: Meeting, rank: Int) {
    self.meeting = meeting
    self.rank = rank
  }

  var size: Int { meeting.ranks }

  func exchange(
    _ values: UnsafeRawPointer, counts: ArenaList<Int>, into result: UnsafeMutableRawPointer,
    receiveCounts: ArenaList<Int>
  ) {
    meeting.offers[rank] = Meeting.Offer(values: values, counts: counts)
    meeting.wait()
    var target = result
    for source in 0..<size {
      guard let offer = meeting.offers[source] else { preconditionFailure("rank \(source) has no offer") }
      precondition(offer.counts[rank] == receiveCounts[source], "rank \(source) sends another number of bytes")
      var start = offer.values
      for other in 0..<rank { start += offer.counts[other] }
      target.copyMemory(from: start, byteCount: offer.counts[rank])
      target += offer.counts[rank]
    }
    meeting.wait()
  }
}
