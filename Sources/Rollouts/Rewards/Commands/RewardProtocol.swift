import Formats
import Foundation

/// The lines that a reward's program reads and writes, documented in the article on rewards.
enum RewardProtocol {
  /// The version of the lines, which programs get as `QUILLAN_REWARD_PROTOCOL`. In version 1, a null left the completion
  /// without a score, and lines had no `applies` and no `quillan.tokens`.
  static let version = 2

  /// Members of a line that this program sets, even if the prompt's line has members of these names.
  private static let reserved: Set<String> = ["prompt", "answer", "completion", "quillan", "row"]

  /// The line for a completion: the members of the prompt's line, and the completion.
  ///
  /// `id` and `finished` are the prompt's, if it has them; the completion's are in `quillan`. The prompt's members with
  /// reserved names are in `row`.
  static func line(_ item: RewardItem) -> [UInt8] {
    var members = item.prompt.fields
    let hidden = members.filter { reserved.contains($0.key) }
    if !hidden.isEmpty { members["row"] = .object(hidden) }
    members["id"] = address(of: item)
    if members["finished"] == nil { members["finished"] = .bool(item.finished) }
    members["quillan"] = .object([
      "id": .integer(Int(item.id)), "finished": .bool(item.finished), "tokens": .integer(item.completionTokens),
    ])
    members["prompt"] = .text(item.prompt.text)
    members["completion"] = .text(item.completion)
    members["answer"] = .text(item.prompt.answer)
    return Array(JSONValue.object(members).serialized.utf8) + [UInt8(ascii: "\n")]
  }

  /// The value of `id` in a line: the prompt's, or the completion's number.
  private static func address(of item: RewardItem) -> JSONValue {
    item.prompt.fields["id"] ?? .integer(Int(item.id))
  }

  /// The meaning of a line of a program's output.
  enum Answer {
    /// The outcome of the completion at an index; `problem` says why the answer cannot be used.
    case outcome(Int, RewardOutcome, problem: String?)
    /// Not an answer to an open question.
    case other
  }

  /// Reads a line.
  ///
  /// - Parameter given: indices of the completions that the program has not answered, oldest first.
  static func answer(_ line: String, given: [Int], of items: [RewardItem]) -> Answer {
    guard line.utf8.first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "{") else { return .other }
    let members: [String: JSONValue]
    do throws(JSONSyntaxError) {
      members = try JSONValue.parse(line.utf8, [.exactNumbers, .nonFiniteNumbers]).objectValue ?? [:]
    } catch {
      // For example the text of a Python dictionary.
      guard let id = number(ofBrokenLine: line), let index = given.first(where: { isAddressed($0, id, items) }) else {
        return .other
      }
      return .outcome(index, .unscored(.unreadable), problem: "it is not JSON: \(error)")
    }
    if let id = members["quillan"]?.objectValue?["id"]?.integerValue {
      guard let index = given.first(where: { items[$0].id == UInt64(max(0, id)) }) else { return .other }
      let (outcome, problem) = outcome(members)
      return .outcome(index, outcome, problem: problem)
    }
    if let id = members["id"], let index = given.first(where: { isAddressed($0, id, items) }) {
      let (outcome, problem) = outcome(members)
      return .outcome(index, outcome, problem: problem)
    }
    // An answer whose id is not a number belongs to the oldest question; another number may be a late answer.
    guard members["reward"] != nil, members["id"]?.numberValue == nil, let index = given.first else { return .other }
    let problem = members["id"].map { "'id' is \($0.kind), not the id of the question" } ?? "it has no 'id'"
    return .outcome(index, .unscored(.unreadable), problem: problem)
  }

  private static func isAddressed(_ index: Int, _ id: JSONValue, _ items: [RewardItem]) -> Bool {
    let address = address(of: items[index])
    if address == id { return true }
    guard let wanted = address.numberValue, let found = id.numberValue else { return false }
    // Beyond a double's precision, integers compare by their digits.
    return wanted == found && abs(wanted) < 0x1p53
  }

  private static func number(ofBrokenLine line: String) -> JSONValue? {
    guard let range = line.range(of: "\"id\"") ?? line.range(of: "'id'"),
      let colon = line[range.upperBound...].firstIndex(of: ":")
    else {
      return nil
    }
    let rest = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\"" || $0 == "'" }
    if let id = Int(rest.prefix { $0.isASCII && $0.isNumber }) { return .integer(id) }
    return .text(String(rest.prefix { $0 != "\"" && $0 != "'" }))
  }

  private static func outcome(_ members: [String: JSONValue]) -> (RewardOutcome, problem: String?) {
    let applies = members["applies"]
    if let applies, applies.boolValue == nil {
      return (.unscored(.unreadable), "'applies' is \(applies.kind), not true or false")
    }
    if applies?.boolValue == false { return (.notApplicable, nil) }
    guard let reward = members["reward"] else { return (.unscored(.missing), "it has no 'reward'") }
    if reward == .null { return (applies == nil ? .notApplicable : .unscored(.none), nil) }
    guard let value = reward.numberValue else { return (.unscored(.notANumber), "'reward' is \(reward.kind)") }
    guard value.isFinite else { return (.unscored(.notFinite), "'reward' is \(value)") }
    guard abs(value) <= WeightedRewards.largestScore else {
      return (.unscored(.outOfRange), "'reward' is beyond ±\(WeightedRewards.largestScore)")
    }
    let figures = (members["metrics"]?.objectValue ?? [:]).compactMapValues(\.numberValue).filter(\.value.isFinite)
    return (.scored(value, metrics: figures), nil)
  }
}
