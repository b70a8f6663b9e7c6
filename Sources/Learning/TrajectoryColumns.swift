import MPI
import Rollouts

/// A trajectory and its place: the number of its group, and its index in the group.
package struct PlacedTrajectory: Sendable {
  package let group: UInt64
  package let index: Int
  package let trajectory: Trajectory

  package init(group: UInt64, index: Int, _ trajectory: Trajectory) {
    self.group = group
    self.index = index
    self.trajectory = trajectory
  }
}

/// Trajectories as arrays of numbers, as ranks exchange them and checkpoints store them.
package struct TrajectoryColumns: Sendable {
  /// For each trajectory: group, index in the group, id, id of the prompt's latents, prompt length, T, bytes of latents,
  /// and whether it finished.
  package private(set) var heads: [Int64] = []
  /// [ΣT]
  package private(set) var tokens: [Int32] = []
  /// [ΣT], one bit each, the first in the lowest bit.
  package private(set) var mask: [UInt8] = []
  package private(set) var latents: [UInt8] = []
  /// [ΣN]
  package private(set) var logProbabilities: [Float] = []
  /// Number of values of a head.
  package static let width = 8

  package init(_ trajectories: [PlacedTrajectory] = []) { for placed in trajectories { append(placed) } }

  package init(
    heads: [Int64], tokens: [Int32], mask: [UInt8], latents: [UInt8], logProbabilities: [Float]
  ) {
    self.heads = heads
    self.tokens = tokens
    self.mask = mask
    self.latents = latents
    self.logProbabilities = logProbabilities
  }

  private mutating func append(_ placed: PlacedTrajectory) {
    let trajectory = placed.trajectory
    heads += [
      Int64(bitPattern: placed.group), Int64(placed.index), Int64(bitPattern: trajectory.id),
      Int64(bitPattern: trajectory.promptID), Int64(trajectory.promptLength), Int64(trajectory.tokens.count),
      Int64(trajectory.latents.count), trajectory.finished ? 1 : 0,
    ]
    for (token, isGenerated) in zip(trajectory.tokens, trajectory.mask) {
      if tokens.count.isMultiple(of: 8) { mask.append(0) }
      if isGenerated { mask[mask.count - 1] |= 1 << UInt8(tokens.count % 8) }
      tokens.append(token)
    }
    latents += trajectory.latents
    logProbabilities += trajectory.logProbabilities
  }

  /// The trajectories; nil if the arrays are inconsistent.
  package var trajectories: [PlacedTrajectory]? {
    guard heads.count.isMultiple(of: Self.width), mask.count == (tokens.count + 7) / 8 else { return nil }
    var result: [PlacedTrajectory] = []
    var (token, latent, value) = (0, 0, 0)
    for first in stride(from: 0, to: heads.count, by: Self.width) {
      let head = heads[first..<first + Self.width]
      let (index, promptLength) = (head[first + 1], head[first + 4])
      guard let length = Int(exactly: head[first + 5]), 1...max(1, tokens.count - token) ~= length,
        token + length <= tokens.count, 0...Int64(length) ~= promptLength, 0...Int64(Int32.max) ~= index,
        let bytes = Int(exactly: head[first + 6]), 0...(latents.count - latent) ~= bytes
      else { return nil }
      let flags = (token..<token + length).map { mask[$0 / 8] >> UInt8($0 % 8) & 1 != 0 }
      let generated = flags.count { $0 }
      // A trajectory without loss has no log-probability and no generated token.
      guard !flags[0], generated <= logProbabilities.count - value else { return nil }
      result.append(
        PlacedTrajectory(
          group: UInt64(bitPattern: head[first]), index: Int(index),
          Trajectory(
            id: UInt64(bitPattern: head[first + 2]), promptID: UInt64(bitPattern: head[first + 3]),
            promptLength: Int(promptLength), tokens: Array(tokens[token..<token + length]), mask: flags,
            latents: Array(latents[latent..<latent + bytes]),
            logProbabilities: Array(logProbabilities[value..<value + generated]), finished: head[first + 7] != 0)))
      token += length
      latent += bytes
      value += generated
    }
    return token == tokens.count && latent == latents.count && value == logProbabilities.count ? result : nil
  }
}

extension Communicator {
  /// Sends each trajectory to the rank that `destination` names, and returns those received, by group and index.
  /// Collective.
  func exchange(_ trajectories: [PlacedTrajectory], destination: (PlacedTrajectory) -> Int) throws(MPIError)
    -> [PlacedTrajectory]
  {
    guard size > 1 else { return trajectories.sorted { ($0.group, $0.index) < ($1.group, $1.index) } }
    var lists = [[PlacedTrajectory]](repeating: [], count: size)
    for placed in trajectories { lists[destination(placed)].append(placed) }
    let columns = lists.map { TrajectoryColumns($0) }
    let heads = try allToAllv(columns.map(\.heads))
    let tokens = try allToAllv(columns.map(\.tokens))
    let masks = try allToAllv(columns.map(\.mask))
    let latents = try allToAllv(columns.map(\.latents))
    let values = try allToAllv(columns.map(\.logProbabilities))
    var result: [PlacedTrajectory] = []
    for rank in 0..<size {
      let received = TrajectoryColumns(
        heads: heads[rank], tokens: tokens[rank], mask: masks[rank], latents: latents[rank],
        logProbabilities: values[rank])
      guard let trajectories = received.trajectories else {
        preconditionFailure("rank \(rank) sent trajectories whose parts do not fit")
      }
      result += trajectories
    }
    return result.sorted { ($0.group, $0.index) < ($1.group, $1.index) }
  }
}
