import Layers
import MPI
import Parameters
import Synchronization

/// Sums gradients over ranks, bucket after bucket, while backward computes those that are not final yet (Li et al.,
/// "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020, section 3.2.3).
///
/// All ranks sum the same buckets in the same order, whatever becomes final first, so the sums are those of a reduction
/// after the pass. The pass's own thread looks after them now and then (`pause`): calls of a second thread, which MPI
/// allows, hang in Open MPI 4.1 where ranks share a machine.
final class OverlappedSums: GradientObserver, @unchecked Sendable {
  /// Elements of a bucket: 16 MiB, for whose transfer a network takes much longer than its latency.
  private static let bucketSize = 4 << 20
  private let gradients: ParameterStore
  private let buckets: [GradientBucket]
  private let bucketOf: [Int?]
  private let world: HierarchicalSum
  private let data: HierarchicalSum
  private let finality: Mutex<Finality>
  /// The bucket that is summed, or is next.
  private var current = 0
  private var sum: SteppedSum?
  /// Which of its communicator's collectives that is.
  private var place = UInt64(0)
  private var isUnderWay = false
  private var failure: MPIError?

  /// What is final.
  private struct Finality {
    var tensors: [Bool]
    /// By bucket, how many of its tensors are not.
    var missing: [Int]
  }

  /// - Parameters:
  ///   - order: tensors as backward ends them, the same on all ranks.
  ///   - world: sums of what all ranks hold, over a communicator of its own.
  ///   - data: sums of mini-MoEs, likewise.
  init(_ gradients: ParameterStore, order: [ParameterID], world: HierarchicalSum, data: HierarchicalSum) {
    self.gradients = gradients
    self.world = world
    self.data = data
    (buckets, bucketOf) = GradientBucket.cut(gradients, order: order, size: Self.bucketSize)
    finality = Mutex(
      Finality(
        tensors: [Bool](repeating: false, count: bucketOf.count), missing: [Int](repeating: 0, count: buckets.count)))
  }

  deinit {
    guard sum != nil else { return }
    // A step was given up, and MPI may still write.
    _ = Unmanaged.passRetained(gradients)
    for sum in [world, data] { _ = Unmanaged.passRetained(sum) }
  }

  /// Begins the sums of a step: those of what `isFinal` names.
  func begin() {
    precondition(!isUnderWay, "gradients of a step are summed while the next begins")
    isUnderWay = true
    current = 0
    finality.withLock { state in
      for index in state.tensors.indices { state.tensors[index] = false }
      for index in state.missing.indices { state.missing[index] = buckets[index].tensors }
    }
  }

  func isFinal(_ id: ParameterID) {
    guard let bucket = bucketOf[id.index] else { return }
    finality.withLock { state in
      guard !state.tensors[id.index] else { return }
      state.tensors[id.index] = true
      state.missing[bucket] -= 1
    }
  }

  func pause() {
    guard failure == nil else { return }
    do throws(MPIError) {
      while current < buckets.count, finality.withLock({ $0.missing[current] == 0 }) {
        guard try advance(waits: false) else { return }
      }
    } catch {
      failure = error
    }
  }

  /// Everything is final: waits for the sums, begun or not.
  func end() throws(MPIError) {
    if !isUnderWay { begin() }
    isUnderWay = false
    if let failure { throw failure }
    while current < buckets.count {
      try start()
      let bucket = buckets[current]
      _ = try sum(of: bucket).communicator.recordWait(
        .sum, bucket.elements.count, .float32, Self.site, place: place
      ) { () throws(MPIError) in try advance(waits: true) }
    }
  }

  private func sum(of bucket: GradientBucket) -> HierarchicalSum { bucket.isCouncil ? data : world }

  private static let site = CallSite(#fileID, #line)

  /// Begins the current bucket unless that is done.
  private func start() throws(MPIError) {
    guard sum == nil else { return }
    let bucket = buckets[current]
    let way = sum(of: bucket)
    place = try way.communicator.recordStart(.sum, bucket.elements.count, .float32, Self.site)
    sum = SteppedSum(
      way,
      UnsafeMutableBufferPointer(
        start: gradients.buffer.pointer + bucket.elements.lowerBound, count: bucket.elements.count))
  }

  /// Goes on with the current bucket; false where it is not summed yet.
  private func advance(waits: Bool) throws(MPIError) -> Bool {
    try start()
    guard try sum?.advance(waits: waits) ?? true else { return false }
    sum = nil
    current += 1
    return true
  }
}
