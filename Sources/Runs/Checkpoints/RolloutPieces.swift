import Checkpoints
import Formats
import Foundation
import Learning
import Models
import Rollouts

/// Pending rollouts as pieces of a checkpoint: sampled and scored trajectories that no step has trained on yet.
///
/// What all ranks know, from rank 0: `groups.members` I64 [M, 6] of all groups in order (group, T, N, bits of the reward,
/// recorded trajectory or −1, 1 for a demonstration), and `updates.u` I64, the groups of the u-th pending update. Of each
/// rank r, the trajectories that it trains on, in the columns of `TrajectoryColumns`: `trajectories.r.heads` I64 [n, 8],
/// `.tokens` I32 [ΣT], `.mask` U8 [ΣT, one bit each], `.latents` U8 and `.log_probabilities` F32 [ΣN]. `summary.…`: the
/// report of the rollout.
enum RolloutPieces {
  /// The records of groups. Checkpoints from before a reward could leave out a trajectory have `summary.records`.
  private static let outcomes = "summary.outcomes"
  private static let earlierOutcomes = "summary.records"
  private static let memberWidth = 6

  static func pieces(_ waiting: [[StepGroup]], _ summary: RolloutSummary?, rank: Int) -> [TensorPiece] {
    var pieces: [TensorPiece] = []
    func add<Element: BitwiseCopyable>(
      _ name: String, _ type: SafetensorsDataType, _ shape: [Int], _ elements: [Element]
    ) {
      pieces.append(TensorPiece(TensorKey(name, .rollout), type, shape, part: rank, elements: elements))
    }
    if !waiting.isEmpty {
      var groups: [UInt64: StepGroup] = [:]
      for group in waiting.joined() { groups[group.id] = group }
      let ordered = groups.values.sorted { $0.id < $1.id }
      if rank == 0 {
        let members = ordered.flatMap { group in group.members.map { numbers(of: $0, in: group.id) } }
        add("groups.members", .int64, [members.count, memberWidth], Array(members.joined()))
        for (update, groups) in waiting.enumerated() {
          add("updates.\(update)", .int64, [groups.count], groups.map { Int64(bitPattern: $0.id) })
        }
      }
      let columns = TrajectoryColumns(
        ordered.flatMap { group in
          group.parts.map { PlacedTrajectory(group: group.id, index: $0.index, $0.trajectory) }
        })
      let name = "trajectories.\(rank)"
      add(
        "\(name).heads", .int64, [columns.heads.count / TrajectoryColumns.width, TrajectoryColumns.width], columns.heads
      )
      add("\(name).tokens", .int32, [columns.tokens.count], columns.tokens)
      add("\(name).mask", .uint8, [columns.mask.count], columns.mask)
      add("\(name).latents", .uint8, [columns.latents.count], columns.latents)
      add("\(name).log_probabilities", .float32, [columns.logProbabilities.count], columns.logProbabilities)
    }
    if let summary {
      if rank == 0 { add(outcomes, .float64, [summary.numbers.count], summary.numbers) }
      let text = summary.text
      add("summary.\(rank)", .uint8, [text.count], text)
    }
    return pieces
  }

  private static func numbers(of member: StepGroup.Member, in group: UInt64) -> [Int64] {
    [
      Int64(bitPattern: group), Int64(member.tokens), Int64(member.generated),
      Int64(bitPattern: member.reward.bitPattern), Int64(member.owner ?? -1), member.isDemonstration ? 1 : 0,
    ]
  }

  /// The pending rollouts, with the trajectories that this rank trains on, whatever the number of ranks that saved them.
  ///
  /// - Parameters:
  ///   - updates: the number of pending updates.
  ///   - divide: divides the updates among the ranks.
  static func read(
    _ reader: CheckpointReader, updates: Int, names: [String], model: QuillanModel, rank: Int, ranks: Int,
    divide: ([[StepGroup.Head]]) throws -> StepDivision
  ) throws -> ([[StepGroup]], RolloutSummary?) {
    let isOld = updates > 0 && reader.manifest.tensor(TensorKey("groups.members", .rollout)) == nil
    let waiting =
      isOld
      ? try GroupwiseRolloutPieces(reader, model).read(updates: updates, rank: rank, divide: divide)
      : try groups(reader, updates: updates, model, rank: rank, divide: divide)
    guard let records = records(of: reader) else { return (waiting, nil) }
    let saved = reader.manifest.ranks
    func text(_ rank: Int) throws -> [UInt8] {
      try reader.array(TensorKey("summary.\(rank)", .rollout), .uint8, of: UInt8.self)
    }
    var texts: [[UInt8]] = []
    if saved == ranks { texts = [try text(rank)] } else if rank == 0 { texts = try (0..<saved).map(text) }
    let numbers = try reader.array(TensorKey(records, .rollout), .float64, of: Double.self)
    let isEarlier = records == earlierOutcomes
    guard let summary = RolloutSummary(numbers: numbers, names: names, texts: texts, isEarlier: isEarlier) else {
      throw reader.inconsistentRollouts(records)
    }
    return (waiting, summary)
  }

  private static func groups(
    _ reader: CheckpointReader, updates: Int, _ model: QuillanModel, rank: Int,
    divide: ([[StepGroup.Head]]) throws -> StepDivision
  ) throws -> [[StepGroup]] {
    guard updates > 0 else { return [] }
    let heads = try heads(reader)
    let planned = try (0..<updates).map { update in
      let name = "updates.\(update)"
      return try reader.array(TensorKey(name, .rollout), .int64, of: Int64.self).map { number in
        guard let head = heads[UInt64(bitPattern: number)] else { throw reader.inconsistentRollouts(name) }
        return head
      }
    }
    let division = try divide(planned)
    var missing = Set(division.places(of: rank).map { Place(group: $0.group, index: $0.index) })
    var own: [PlacedTrajectory] = []
    // With the ranks and settings of the saving run, all trajectories are in this rank's own tensors.
    let saved = 0..<reader.manifest.ranks
    for other in saved.filter({ $0 == rank }) + saved.filter({ $0 != rank }) where !missing.isEmpty {
      for placed in try trajectories(reader, of: other, heads, model)
      where missing.remove(Place(group: placed.group, index: placed.index)) != nil {
        own.append(placed)
      }
    }
    guard missing.isEmpty else { throw reader.inconsistentRollouts("groups.members") }
    return division.groups(planned, own.sorted { ($0.group, $0.index) < ($1.group, $1.index) })
  }

  /// The name of the tensor that records the sampled groups; nil without pending rollouts.
  static func records(of reader: CheckpointReader) -> String? {
    [outcomes, earlierOutcomes].first { reader.manifest.tensor(TensorKey($0, .rollout)) != nil }
  }

  private struct Place: Hashable {
    let group: UInt64
    let index: Int
  }

  private static func heads(_ reader: CheckpointReader) throws -> [UInt64: StepGroup.Head] {
    let numbers = try reader.array(TensorKey("groups.members", .rollout), .int64, of: Int64.self)
    var members: [UInt64: [StepGroup.Member]] = [:]
    guard numbers.count.isMultiple(of: memberWidth) else { throw reader.inconsistentRollouts("groups.members") }
    for first in stride(from: 0, to: numbers.count, by: memberWidth) {
      let row = Array(numbers[first..<first + memberWidth])
      let reward = Double(bitPattern: UInt64(bitPattern: row[3]))
      guard 1...Int64(Int32.max) ~= row[1], 0..<row[1] ~= row[2], reward.isFinite, -1...Int64(Int32.max) ~= row[4]
      else {
        throw reader.inconsistentRollouts("groups.members")
      }
      members[UInt64(bitPattern: row[0]), default: []].append(
        StepGroup.Member(
          tokens: Int(row[1]), generated: Int(row[2]), reward: reward, owner: row[4] < 0 ? nil : Int(row[4]),
          isDemonstration: row[5] != 0))
    }
    for own in members.values {
      let owners = own.compactMap(\.owner)
      guard owners.isEmpty || (owners.count == own.count && areOwners(owners)) else {
        throw reader.inconsistentRollouts("groups.members")
      }
    }
    return Dictionary(uniqueKeysWithValues: members.map { ($0, StepGroup.Head(id: $0, members: $1)) })
  }

  private static func trajectories(
    _ reader: CheckpointReader, of rank: Int, _ heads: [UInt64: StepGroup.Head], _ model: QuillanModel
  ) throws -> [PlacedTrajectory] {
    func array<Element: BitwiseCopyable>(_ part: String, _ type: SafetensorsDataType, _: Element.Type) throws
      -> [Element]
    {
      try reader.array(TensorKey("trajectories.\(rank).\(part)", .rollout), type, of: Element.self)
    }
    let columns = TrajectoryColumns(
      heads: try array("heads", .int64, Int64.self), tokens: try array("tokens", .int32, Int32.self),
      mask: try array("mask", .uint8, UInt8.self), latents: try array("latents", .uint8, UInt8.self),
      logProbabilities: try array("log_probabilities", .float32, Float.self))
    guard let trajectories = columns.trajectories else {
      throw reader.inconsistentRollouts("trajectories.\(rank).heads")
    }
    for placed in trajectories {
      let trajectory = placed.trajectory
      let members = heads[placed.group]?.members ?? []
      guard members.indices.contains(placed.index), members[placed.index].tokens == trajectory.tokens.count,
        members[placed.index].generated == trajectory.logProbabilities.count, fits(trajectory, model)
      else { throw reader.inconsistentRollouts("trajectories.\(rank).heads") }
    }
    return trajectories
  }

  /// Whether the model can process a trajectory.
  static func fits(_ trajectory: Trajectory, _ model: QuillanModel) -> Bool {
    let vocabulary = Int32(model.configuration.vocabSize)
    let bytes = model.diffusion == nil ? 0 : model.latentBytes
    return trajectory.tokens.count <= model.configuration.maxSeqLen
      && trajectory.tokens.allSatisfy { (0..<vocabulary).contains($0) }
      && trajectory.latents.count == bytes * trajectory.tokens.count
  }

  /// Whether the numbers are 0, 1, … in order of first appearance.
  static func areOwners(_ owners: [Int]) -> Bool {
    var next = 0
    for owner in owners {
      guard 0...next ~= owner else { return false }
      if owner == next { next += 1 }
    }
    return true
  }
}

extension CheckpointReader {
  func inconsistentRollouts(_ tensor: String) -> CheckpointError {
    CheckpointError(
      .inconsistentLayout, path: path, tensor: tensor, problem: "the pending rollouts are inconsistent",
      remedy: "use an earlier checkpoint")
  }
}
