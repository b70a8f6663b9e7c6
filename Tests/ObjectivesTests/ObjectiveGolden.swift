import Foundation
import TestSupport

/// The contents of `golden/objective.json`.
struct ObjectiveGolden: Decodable {
  struct Advantages: Decodable {
    let rewards: [Double]
    let clip01: [Double]
    let standardized: [Double]
    let group_mean: [Double]
  }
  struct TokenLosses: Decodable {
    let epsilon_low: Double
    let epsilon_high: Double
    let advantages: [Double]
    let old_logp: [Double]
    let new_logp: [Double]
    let per_token_loss: [Double]?
    let token_mean: Double
  }
  struct Aggregation: Decodable {
    let mode: String
    let max_trajectory_len: Int?
    let group_size: Int?
    let values: [[Double]]
    let mask: [[Int]]
    let expected: Double
  }
  struct Divergence: Decodable {
    let logp: Double
    let ref: [Double]
    let k1: [Double]
    let k2: [Double]
    let k3: [Double]
  }
  struct Published: Decodable {
    let token_losses: [TokenLosses]
    let aggregation: [Aggregation]
    let kl: [Divergence]
  }
  struct Group: Decodable {
    let advantage: String
    let epsilon_low: Double
    let epsilon_high: Double
    let rewards: [Double]
    let new_logp: [[Float]]
    let old_logp: [[Float]]
    let policy_loss_group_token_mean: Double
  }
  let advantages: [Advantages]
  let published: Published
  let groups: [Group]

  static func load() throws -> Self {
    try JSONDecoder().decode(Self.self, from: Fixtures.data("golden/objective.json"))
  }
}
