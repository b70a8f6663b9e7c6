import MPI
import Objectives

/// The contribution of one trajectory to a step. Ranks exchange the bytes of these records.
package struct TrajectoryRecord: StepRecord, BitwiseCopyable {
  package let group: UInt64
  /// The index of the trajectory in its group.
  package let index: Int
  package private(set) var terms = ObjectiveTerms()
  package private(set) var statistics = RatioStatistics()
  /// As in `GroupRecord`.
  package private(set) var latentHits = 0
  package private(set) var latentBits = 0
  package private(set) var nonfiniteSequence: UInt64?
  package var nonfiniteTensor: Int?

  package var groupNumber: UInt64? { group }

  package init(group: UInt64, index: Int) {
    self.group = group
    self.index = index
  }

  package static func gather(_ own: [Self], _ communicator: Communicator) throws(MPIError) -> [Self] {
    try communicator.gather(bitwise: own).sorted { ($0.group, $0.index) < ($1.group, $1.index) }
  }

  mutating func add(_ terms: ObjectiveTerms, _ statistics: RatioStatistics, of sequence: TrainingSequence) {
    self.terms += terms
    self.statistics += statistics
    let sum = terms.policy + terms.entropy + terms.aux + terms.diffusion + terms.value + terms.kl
    if nonfiniteSequence == nil, !sum.isFinite { nonfiniteSequence = sequence.id }
  }

  /// Compares the latents of all positions of a trajectory except the last with their targets.
  mutating func compare(latents: [UInt8], targets: ArraySlice<UInt8>, bits: Int, positions: Int) {
    var wrong = 0
    for (latent, target) in zip(latents, targets).prefix((bits + 7) / 8 * max(0, positions - 1)) {
      wrong += (latent ^ target).nonzeroBitCount
    }
    latentBits += bits * max(0, positions - 1)
    latentHits += bits * max(0, positions - 1) - wrong
  }
}
