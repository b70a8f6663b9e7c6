import Layers
import MPI
import Parameters
import Synchronization

/// Sums gradients over machines, bucket after bucket, while backward computes those that are not final yet (Li et al.,
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
  private let place: [Int?]
  private let world: HierarchicalSum
  private let data: HierarchicalSum
  private let finality: Mutex<Finality>
  /// The bucket that is summed, or is next.
  private var current = 0
  private var sum: SteppedSum?
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
    (buckets, place) = GradientBucket.cut(gradients, order: order, size: Self.bucketSize)
    finality = Mutex(
      Finality(
        tensors: [Bool](repeating: false, count: place.count), missing: [Int](repeating: 0, count: buckets.count)))
  }

  deinit {
    // MPI may still write into gradients of a step that was given up.
    if sum != nil { _ = Unmanaged.passRetained(gradients) }
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
    guard let bucket = place[id.index] else { return }
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
      let bucket = buckets[current]
      let ranks = sum(of: bucket).communicator
      _ = try ranks.recorded(.sum, bucket.elements.count, .float32, CallSite(#fileID, #line)) { () throws(MPIError) in
        try advance(waits: true)
      }
    }
  }

  private func sum(of bucket: GradientBucket) -> HierarchicalSum { bucket.isCouncil ? data : world }

  /// Goes on with the current bucket; false where it is not summed yet.
  private func advance(waits: Bool) throws(MPIError) -> Bool {
    let bucket = buckets[current]
    if sum == nil {
      let values = UnsafeMutableBufferPointer(
        start: gradients.buffer.pointer + bucket.elements.lowerBound, count: bucket.elements.count)
      sum = SteppedSum(sum(of: bucket), values)
    }
    guard try sum?.advance(waits: waits) ?? true else { return false }
    sum = nil
    current += 1
    return true
  }
}
