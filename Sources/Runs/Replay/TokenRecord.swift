import Errors
import Objectives
import Reports
import Rollouts
import Formats

/// A step's values for one predicted token.
public struct TokenRecord: Sendable {
  /// The number of the token's group; nil in pre-training, as are all values of reinforcement learning.
  public let group: UInt64?
  /// The number of the token's trajectory or sequence.
  public let sequence: UInt64
  /// The index in the sequence, from 0; the model predicts the token at the position before.
  public let position: Int
  public let token: Int32
  /// The token's text; bytes that are not UTF-8 become U+FFFD.
  public let text: String
  /// log π_old, from the rollout.
  public let oldLogProbability: Float?
  /// log π_θ with the weights before the step.
  public let logProbability: Float
  /// The importance ratio, of the token or (GSPO) of the sequence.
  public let ratio: Double?
  /// Â.
  public let advantage: Double?
  /// Whether the ratio is clipped, and on which side.
  public let clipping: TokenObjective.Clipping
  /// Full-vocabulary entropy, nats.
  public let entropy: Float
  /// The mini-MoEs that each layer chose at the position that predicts the token, best first.
  public let miniMoEs: [[Int32]]

  var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map(JSONValue.number) ?? .null }
    return .object([
      "group": group.map { .integer(Int($0)) } ?? .null, "trajectory": .integer(Int(sequence)),
      "position": .integer(position), "token": .integer(Int(token)), "text": .text(text),
      "logp_rollout": number(oldLogProbability.map(Double.init)), "logp": .number(Double(logProbability)),
      "ratio": number(ratio), "advantage": number(advantage), "clipped": .text("\(clipping)"),
      "entropy": .number(Double(entropy)),
      "mini_moes": .list(miniMoEs.map { .list($0.map { .integer(Int($0)) }) }),
    ])
  }
}

/// The tokens of a step as text.
public struct TokenTable: Sendable {
  private let records: [TokenRecord]

  public init(_ records: [TokenRecord]) { self.records = records }

  /// JSON Lines: a header `{"format":"quillan-tokens","version":1}`, then one object per token.
  public var jsonLines: String {
    let header = JSONValue.object(["format": "quillan-tokens", "version": 1])
    return ([header] + records.map(\.json)).map { $0.serialized + "\n" }.joined()
  }

  /// A table with aligned columns and rounded figures; `|` separates the mini-MoEs of the layers.
  public var text: String { table.text }

  /// The table in at most `width` columns, which cuts off the mini-MoEs of later layers.
  public func text(width: Int) -> String { table.text(width: width) }

  private var table: Table {
    var table = Table(
      [
        "group", "trajectory", "position", "token", "text", "old logp", "logp", "ratio", "advantage", "clip",
        "entropy", "mini-MoEs by layer",
      ],
      alignments: [
        .right, .right, .right, .right, .left, .right, .right, .right, .right, .left, .right, .left,
      ])
    func figure(_ value: Double?) -> String { value.map { FigureText.fixed($0, 4) } ?? "" }
    for record in records {
      table.add([
        record.group.map { "\($0)" } ?? "", "\(record.sequence)", "\(record.position)", "\(record.token)",
        JSONValue.text(record.text).serialized, figure(record.oldLogProbability.map(Double.init)),
        figure(Double(record.logProbability)), figure(record.ratio), figure(record.advantage),
        record.clipping == .none ? "" : "\(record.clipping)", figure(Double(record.entropy)),
        record.miniMoEs.map { $0.map { "\($0)" }.joined(separator: " ") }.joined(separator: " | "),
      ])
    }
    return table
  }
}
