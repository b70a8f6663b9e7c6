import Checkpoints
import Formats
import Foundation
import Learning
import Models
import Parallelism
import Rollouts

/// Pending rollouts as pieces of a checkpoint: sampled and scored trajectories that no step has trained on yet.
///
/// Of a group g with G trajectories of T tokens each, N of them generated (sums over the group's trajectories):
/// `groups.g.trajectories` I64 [G, 5] (id, id of the prompt's latents, prompt length, T, finished), `.tokens` I32 [ΣT],
/// `.mask` U8 [ΣT, one bit each], `.latents` U8 [ΣT, ⌈B/8⌉], `.log_probabilities` F32 [ΣN], `.rewards` F64 [G], and
/// `.owners` I64 [G] if recorded trajectories consist of several sequences.
/// `updates.u.r` I64: the groups of rank r for the u-th pending update. `summary.…`: the report of the rollout.
enum RolloutPieces {
  /// The records of groups. Checkpoints from before a reward could leave out a trajectory have `summary.records`.
  private static let outcomes = "summary.outcomes"
  private static let earlierOutcomes = "summary.records"

  static func pieces(_ waiting: [[TrajectoryGroup]], _ summary: RolloutSummary?, rank: Int) -> [TensorPiece] {
    var pieces: [TensorPiece] = []
    var seen: Set<UInt64> = []
    func add<Element: BitwiseCopyable>(
      _ name: String, _ type: SafetensorsDataType, _ shape: [Int], _ elements: [Element]
    ) {
      pieces.append(TensorPiece(TensorKey(name, .rollout), type, shape, part: rank, elements: elements))
    }
    for (update, groups) in waiting.enumerated() {
      add("updates.\(update).\(rank)", .int64, [groups.count], groups.map { Int64($0.id) })
      for group in groups where seen.insert(group.id).inserted {
        let name = "groups.\(group.id)"
        let all = group.trajectories
        add(
          "\(name).trajectories", .int64, [all.count, 5],
          all.flatMap {
            [Int64($0.id), Int64($0.promptID), Int64($0.promptLength), Int64($0.tokens.count), $0.finished ? 1 : 0]
          })
        let tokens = all.flatMap(\.tokens)
        add("\(name).tokens", .int32, [tokens.count], tokens)
        let mask = packed(all.flatMap(\.mask))
        add("\(name).mask", .uint8, [mask.count], mask)
        let latents = all.flatMap(\.latents)
        add("\(name).latents", .uint8, [latents.count], latents)
        let values = all.flatMap(\.logProbabilities)
        add("\(name).log_probabilities", .float32, [values.count], values)
        add("\(name).rewards", .float64, [group.rewards.count], group.rewards)
        if let owners = group.owners { add("\(name).owners", .int64, [owners.count], owners.map { Int64($0) }) }
      }
    }
    if let summary {
      if rank == 0 { add(outcomes, .float64, [summary.numbers.count], summary.numbers) }
      let text = summary.text
      add("summary.\(rank)", .uint8, [text.count], text)
    }
    return pieces
  }

  /// This rank's share of the pending rollouts: the groups that it saved if the number of ranks is unchanged, otherwise
  /// a contiguous part of each update's groups.
  ///
  /// - Parameter updates: the number of pending updates.
  static func read(
    _ reader: CheckpointReader, updates: Int, names: [String], model: QuillanModel, rank: Int, ranks: Int
  ) throws -> ([[TrajectoryGroup]], RolloutSummary?) {
    let saved = reader.manifest.ranks
    var groups: [UInt64: TrajectoryGroup] = [:]
    var waiting: [[TrajectoryGroup]] = []
    for update in 0..<updates {
      func ids(_ rank: Int) throws -> [Int64] {
        try reader.array(TensorKey("updates.\(update).\(rank)", .rollout), .int64, of: Int64.self)
      }
      var assigned: [Int64]
      if saved == ranks {
        assigned = try ids(rank)
      } else {
        let all = try (0..<saved).flatMap(ids).sorted()
        assigned = Array(all[Share(of: all.count, rank: rank, size: ranks).range])
      }
      waiting.append(
        try assigned.map { number in
          let id = UInt64(bitPattern: number)
          if let known = groups[id] { return known }
          let group = try group(id, reader, model)
          groups[id] = group
          return group
        })
    }
    guard let records = records(of: reader) else { return (waiting, nil) }
    func text(_ rank: Int) throws -> [UInt8] {
      try reader.array(TensorKey("summary.\(rank)", .rollout), .uint8, of: UInt8.self)
    }
    var texts: [[UInt8]] = []
    if saved == ranks { texts = [try text(rank)] } else if rank == 0 { texts = try (0..<saved).map(text) }
    let numbers = try reader.array(TensorKey(records, .rollout), .float64, of: Double.self)
    guard
      let summary = RolloutSummary(
        numbers: numbers, names: names, texts: texts, isEarlier: records == earlierOutcomes)
    else { throw fault(reader, records) }
    return (waiting, summary)
  }

  /// The name of the tensor that records the sampled groups; nil without pending rollouts.
  static func records(of reader: CheckpointReader) -> String? {
    [outcomes, earlierOutcomes].first { reader.manifest.tensor(TensorKey($0, .rollout)) != nil }
  }

  private static func group(_ id: UInt64, _ reader: CheckpointReader, _ model: QuillanModel) throws -> TrajectoryGroup {
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
      throw fault(reader, "groups.\(id).tokens")
    }
    var offset = 0
    var trajectories: [Trajectory] = []
    for head in stride(from: 0, to: heads.count, by: 5).map({ Array(heads[$0..<$0 + 5]) }) {
      let count = Int(head[3])
      guard 1...max(1, min(tokens.count, model.configuration.maxSeqLen)) ~= count, offset + count <= 8 * mask.count,
        0...Int64(count) ~= head[2]
      else {
        throw fault(reader, "groups.\(id).trajectories")
      }
      let flags = (offset..<offset + count).map { mask[$0 / 8] >> UInt8($0 % 8) & 1 != 0 }
      offset += count
      let generated = flags.count { $0 }
      guard flags.first != true, generated <= values.count, count * latentBytes <= latents.count else {
        throw fault(reader, "groups.\(id).mask")
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
      throw fault(reader, "groups.\(id).rewards")
    }
    var owners: [Int]?
    if reader.manifest.tensor(TensorKey("groups.\(id).owners", .rollout)) != nil {
      owners = try array("owners", .int64, Int64.self).map { Int($0) }
      guard let owners, owners.count == trajectories.count, areOwners(owners) else {
        throw fault(reader, "groups.\(id).owners")
      }
    }
    return TrajectoryGroup(id: id, trajectories: trajectories, rewards: rewards, owners: owners)
  }

  /// Whether the numbers are 0, 1, … in order of first appearance.
  private static func areOwners(_ owners: [Int]) -> Bool {
    var next = 0
    for owner in owners {
      guard 0...next ~= owner else { return false }
      if owner == next { next += 1 }
    }
    return true
  }

  private static func fault(_ reader: CheckpointReader, _ tensor: String) -> CheckpointError {
    CheckpointError(
      .inconsistentLayout, path: reader.path, tensor: tensor, problem: "the pending rollouts are inconsistent",
      remedy: "use an earlier checkpoint")
  }

  private static func packed(_ flags: [Bool]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (flags.count + 7) / 8)
    for (index, flag) in flags.enumerated() where flag { bytes[index / 8] |= 1 << UInt8(index % 8) }
    return bytes
  }
}

extension RolloutSummary {
  /// The part that all ranks share, as numbers.
  package var numbers: [Double] { [Double(first), Double(rounds)] + records.flatMap(\.numbers) }

  /// This rank's part, as JSON.
  package var text: [UInt8] {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = Self.nonfinite
    guard let data = try? encoder.encode(LocalPart(samples: samples, figures: figures)) else {
      preconditionFailure("samples cannot be encoded as JSON")
    }
    return Array(data)
  }

  /// - Parameters:
  ///   - texts: the JSON parts of the ranks that this rank continues.
  ///   - isEarlier: whether the numbers are from before a reward could leave out a trajectory.
  /// - Returns: nil if the parts are inconsistent.
  package init?(numbers: [Double], names: [String], texts: [[UInt8]], isEarlier: Bool = false) {
    let width = RolloutRecord.width(parts: names.count) - (isEarlier ? names.count : 0)
    guard numbers.count >= 2, (numbers.count - 2).isMultiple(of: width), numbers.allSatisfy({ $0.isFinite }),
      let first = Int(exactly: numbers[0]), let rounds = Int(exactly: numbers[1]), first >= 0, rounds >= 0
    else { return nil }
    let rows = stride(from: 2, to: numbers.count, by: width).map {
      let row = Array(numbers[$0..<$0 + width])
      return isEarlier ? RolloutRecord.numbers(earlier: row, parts: names.count) : row
    }
    guard rows.allSatisfy(RolloutRecord.isValid) else { return nil }
    self.init(first: first, names: names)
    self.rounds = rounds
    records = rows.map(RolloutRecord.init(numbers:))
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    for text in texts {
      guard let part = try? decoder.decode(LocalPart.self, from: Data(text)) else { return nil }
      samples += part.samples
      figures += part.figures
    }
  }

  private static let nonfinite = JSONEncoder.NonConformingFloatEncodingStrategy.convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")

  private struct LocalPart: Codable {
    var samples: [CompletionSample]
    var figures: [RolloutBatch.Figure]
  }
}
