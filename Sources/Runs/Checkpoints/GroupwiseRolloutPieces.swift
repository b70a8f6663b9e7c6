import Checkpoints
import Formats
import Learning
import Models
import Rollouts

/// Reads pending rollouts of version 0.1, whose ranks had complete groups.
///
/// Of a group g with G trajectories of T tokens each, N of them generated (sums over the group's trajectories):
/// `groups.g.trajectories` I64 [G, 5] (id, id of the prompt's latents, prompt length, T, finished), `.tokens` I32 [ΣT],
/// `.mask` U8 [ΣT, one bit each], `.latents` U8 [ΣT, ⌈B/8⌉], `.log_probabilities` F32 [ΣN], `.rewards` F64 [G], and
/// `.owners` I64 [G] if recorded trajectories consist of several sequences. `updates.u.r` I64: the groups of rank r for the
/// u-th pending update.
struct GroupwiseRolloutPieces {
  private let reader: CheckpointReader
  private let model: QuillanModel

  init(_ reader: CheckpointReader, _ model: QuillanModel) {
    self.reader = reader
    self.model = model
  }

  /// The groups of each pending update, with the trajectories that rank `rank` trains on.
  func read(
    updates: Int, rank: Int, divide: ([[StepGroup.Head]]) throws -> StepDivision
  ) throws -> [[StepGroup]] {
    var groups: [UInt64: TrajectoryGroup] = [:]
    let planned = try (0..<updates).map { update in
      let numbers = try (0..<reader.manifest.ranks).flatMap { saved in
        try reader.array(TensorKey("updates.\(update).\(saved)", .rollout), .int64, of: Int64.self)
      }
      return try numbers.sorted().map { number in
        let id = UInt64(bitPattern: number)
        let group = try groups[id] ?? self.group(id)
        groups[id] = group
        return StepGroup(group).head
      }
    }
    let division = try divide(planned)
    let own = division.places(of: rank).compactMap { place in
      groups[place.group].map { PlacedTrajectory(group: place.group, index: place.index, $0.trajectories[place.index]) }
    }
    return division.groups(planned, own.sorted { ($0.group, $0.index) < ($1.group, $1.index) })
  }

  private func group(_ id: UInt64) throws -> TrajectoryGroup {
    func array<Element: BitwiseCopyable>(_ part: String, _ type: SafetensorsDataType, _: Element.Type) throws
      -> [Element]
    {
      try reader.array(TensorKey("groups.\(id).\(part)", .rollout), type, of: Element.self)
    }
    let heads = try array("trajectories", .int64, Int64.self)
    var tokens = try array("tokens", .int32, Int32.self)[...]
    let mask = try array("mask", .uint8, UInt8.self)
    var latents = try array("latents", .uint8, UInt8.self)[...]
    var values = try array("log_probabilities", .float32, Float.self)[...]
    let latentBytes = model.diffusion == nil ? 0 : model.latentBytes
    let vocabulary = Int32(model.configuration.vocabSize)
    guard heads.count.isMultiple(of: 5), tokens.allSatisfy({ (0..<vocabulary).contains($0) }) else {
      throw reader.inconsistentRollouts("groups.\(id).tokens")
    }
    var offset = 0
    var trajectories: [Trajectory] = []
    for head in stride(from: 0, to: heads.count, by: 5).map({ Array(heads[$0..<$0 + 5]) }) {
      let count = Int(head[3])
      guard 1...max(1, min(tokens.count, model.configuration.maxSeqLen)) ~= count, offset + count <= 8 * mask.count,
        0...Int64(count) ~= head[2]
      else {
        throw reader.inconsistentRollouts("groups.\(id).trajectories")
      }
      let flags = (offset..<offset + count).map { mask[$0 / 8] >> UInt8($0 % 8) & 1 != 0 }
      offset += count
      let generated = flags.count { $0 }
      guard flags.first != true, generated <= values.count, count * latentBytes <= latents.count else {
        throw reader.inconsistentRollouts("groups.\(id).mask")
      }
      trajectories.append(
        Trajectory(
          id: UInt64(bitPattern: head[0]), promptID: UInt64(bitPattern: head[1]), promptLength: Int(head[2]),
          tokens: Array(tokens.prefix(count)), mask: flags, latents: Array(latents.prefix(count * latentBytes)),
          logProbabilities: Array(values.prefix(generated)), finished: head[4] != 0))
      tokens = tokens.dropFirst(count)
      latents = latents.dropFirst(count * latentBytes)
      values = values.dropFirst(generated)
    }
    let rewards = try array("rewards", .float64, Double.self)
    guard rewards.count == trajectories.count, tokens.isEmpty, values.isEmpty, latents.isEmpty else {
      throw reader.inconsistentRollouts("groups.\(id).rewards")
    }
    var owners: [Int]?
    if reader.manifest.tensor(TensorKey("groups.\(id).owners", .rollout)) != nil {
      owners = try array("owners", .int64, Int64.self).map { Int($0) }
      guard let owners, owners.count == trajectories.count, RolloutPieces.areOwners(owners) else {
        throw reader.inconsistentRollouts("groups.\(id).owners")
      }
    }
    return TrajectoryGroup(id: id, trajectories: trajectories, rewards: rewards, owners: owners)
  }
}
