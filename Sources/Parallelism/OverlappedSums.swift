import Layers
import MPI
import Parameters
import Synchronization
import Telemetry

/// All-reduces gradients bucket by bucket while the backward pass computes the gradients that are not final yet (Li et
/// al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020, section 3.2.3).
///
/// All ranks sum the same buckets in the same order, whichever becomes final first, so the sums equal those of a
/// reduction after the pass. The thread of the pass polls the transfers (`progress`). A second thread, although MPI
/// allows it, hangs in Open MPI 4.1 if ranks share a machine. The pass cannot throw, so errors are deferred
/// (`DeferredError`); `end` throws them.
final class OverlappedSums: GradientObserver, @unchecked Sendable {
  /// Elements of a bucket: 16 MiB, so that the transfer takes much longer than the latency of a network.
  private static let bucketSize = 4 << 20
  private let gradients: ParameterStore
  private let buckets: [GradientBucket]
  private let bucketOf: [Int?]
  private let world: HierarchicalSum
  private let data: HierarchicalSum
  private let finalGradients: Mutex<FinalGradients>
  /// Index of the bucket that is being summed, or is next.
  private var current = 0
  private var sum: SteppedSum?
  /// The collective of the current bucket.
  private var collective: StartedCollective?
  /// Whether a step has begun and not ended.
  private var isOpen = false
  private var error = DeferredError()

  /// Which gradients are final.
  private struct FinalGradients {
    var tensors: [Bool]
    /// For each bucket, the number of tensors that are not final.
    var missing: [Int]
  }

  /// - Parameters:
  ///   - order: tensors in the order in which the backward pass finishes them; the same on all ranks.
  ///   - world: sums replicated parameters, on a separate communicator.
  ///   - data: sums mini-MoEs, on a separate communicator.
  init(_ gradients: ParameterStore, order: [ParameterID], world: HierarchicalSum, data: HierarchicalSum) {
    self.gradients = gradients
    self.world = world
    self.data = data
    (buckets, bucketOf) = GradientBucket.cut(gradients, order: order, size: Self.bucketSize)
    finalGradients = Mutex(
      FinalGradients(
        tensors: [Bool](repeating: false, count: bucketOf.count), missing: [Int](repeating: 0, count: buckets.count)))
  }

  /// Starts a step: buckets are summed as `isFinal` reports their tensors.
  func begin() {
    precondition(!isOpen, "a step begins before the gradients of the previous step are summed")
    isOpen = true
    current = 0
    finalGradients.withLock { state in
      for index in state.tensors.indices { state.tensors[index] = false }
      for index in state.missing.indices { state.missing[index] = buckets[index].tensors }
    }
  }

  func isFinal(_ id: ParameterID) {
    guard let bucket = bucketOf[id.index] else { return }
    finalGradients.withLock { state in
      guard !state.tensors[id.index] else { return }
      state.tensors[id.index] = true
      state.missing[bucket] -= 1
    }
  }

  func progress() {
    _ = error.attempt { () throws(MPIError) in
      while current < buckets.count, finalGradients.withLock({ $0.missing[current] == 0 }) {
        guard try advance(waits: false) else { return }
      }
    }
  }

  /// Called when all gradients are final: sums the buckets that remain and waits for all of them.
  func end() throws(MPIError) {
    if !isOpen { begin() }
    isOpen = false
    try error.check()
    while current < buckets.count {
      try start()
      _ = try collective?.wait { () throws(MPIError) in try advance(waits: true) }
    }
  }

  /// One call site for all buckets: a rank may start a bucket during the pass or in `end`, and debug mode requires
  /// equal call sites on all ranks.
  private static let site = CallSite(#fileID, #line)

  /// Starts the sum of the current bucket unless it has started.
  private func start() throws(MPIError) {
    guard sum == nil else { return }
    let bucket = buckets[current]
    let ranks = bucket.isCouncil ? data : world
    collective = try StartedCollective(ranks.communicator, .sum, bucket.elements.count, .float32, Self.site)
    sum = SteppedSum(
      ranks,
      UnsafeMutableBufferPointer(
        start: gradients.buffer.pointer + bucket.elements.lowerBound, count: bucket.elements.count),
      owner: gradients)
  }

  /// Advances the sum of the current bucket; returns false if the sum is not complete.
  private func advance(waits: Bool) throws(MPIError) -> Bool {
    try start()
    guard try sum?.advance(waits: waits) ?? true else { return false }
    sum = nil
    current += 1
    return true
  }
}
