import Formats
import Foundation

/// Recorded trajectories as JSON Lines, one group per line:
///
///     {"question": "…", "trajectories": [{"reward": 1, "steps": [{"state": "…", "action": "…"}, …]}, …]}
///     {"question": "…", "trajectories": [{"reward": 0.5, "tokens": [5, 7, 9], "mask": [0, 1, 1], "logprobs": [−1.5, −0.25]}]}
///
/// A step's `state` is the policy's input for `action`. The question (the step's own, or the group's) is put in front
/// of a state that does not begin with it. If a step's state begins with the previous state and action, both steps are
/// one sequence, of which only the actions are optimised (multi-turn); otherwise a new sequence begins. The end token
/// (with a chat form, the end of a turn) follows the last action of each sequence, unless the trajectory says `"finished": false`. Text is encoded on
/// reading; `tokens` are used unchanged. `logprobs` has one number for each generated token, at least −1000.
public enum TrajectoryFile {
  /// The groups of a file in order.
  ///
  /// - Parameters:
  ///   - vocabularySize: token ids must be below this.
  ///   - observe: called with all bytes of the file.
  /// - Throws: `DataError` naming file and line.
  public static func groups(
    at url: URL, tokenizer: any Tokenizer, vocabularySize: Int, observe: ContentObserver = { _ in }
  ) throws(DataError) -> [RecordedGroup] {
    var groups: [RecordedGroup] = []
    for line in try JSONLines.lines(at: url, observe: observe) {
      let reader = Reader(file: url, line: line.number, tokenizer: tokenizer, vocabularySize: vocabularySize)
      groups.append(try reader.group(line.members))
    }
    return groups
  }

  private struct Reader {
    let file: URL
    let line: Int
    let tokenizer: any Tokenizer
    let vocabularySize: Int

    /// Sampling never draws a token of lower log-probability; other programs write −9999 for a token that was filtered
    /// out.
    static let minimumLogProbability = -1000.0

    func fault(_ problem: String, _ remedy: String) -> DataError {
      DataError(file: file.relativePath, line: line, problem: problem, remedy: remedy)
    }

    func group(_ members: [String: JSONValue]) throws(DataError) -> RecordedGroup {
      guard let question = (members["question"] ?? .text("")).textValue else {
        throw fault("'question' is \(members["question"]?.kind ?? "missing")", "write it as a string")
      }
      guard let list = members["trajectories"]?.listValue, !list.isEmpty else {
        throw fault("'trajectories' is missing or not a list of trajectories", "give at least one")
      }
      var trajectories: [RecordedTrajectory] = []
      for (index, value) in list.enumerated() {
        guard let object = value.objectValue else {
          throw fault("trajectory \(index) is \(value.kind)", "write it as an object")
        }
        trajectories.append(try trajectory(object, "trajectory \(index)", question))
      }
      return RecordedGroup(question: question, trajectories: trajectories, origin: "\(file.relativePath):\(line)")
    }

    func trajectory(_ members: [String: JSONValue], _ name: String, _ question: String) throws(DataError)
      -> RecordedTrajectory
    {
      guard let written = members["reward"], written == .null || written.numberValue != nil else {
        throw fault("the reward of \(name) is missing or not a number", "write a number, or null if there is no score")
      }
      guard abs(written.numberValue ?? 0) <= WeightedRewards.largestScore else {
        throw fault(
          "the reward of \(name) is beyond ±\(WeightedRewards.largestScore)", "scale the rewards, to about 1")
      }
      let finished = members["finished"] ?? .bool(true)
      guard let isFinished = finished.boolValue else {
        throw fault("'finished' of \(name) is \(finished.kind)", "write true or false")
      }
      var sequences: [RecordedSequence]
      if let steps = members["steps"] {
        guard members["tokens"] == nil else { throw fault("\(name) has steps and tokens", "give one of them") }
        sequences = try self.sequences(steps, finished: isFinished, name, question)
      } else {
        sequences = [try tokens(members, name)]
      }
      for sequence in sequences where !sequence.mask.contains(true) {
        throw fault(
          "\(name) has a sequence of \(sequence.tokens.count) tokens, none generated", "mark the generated tokens")
      }
      return RecordedTrajectory(sequences: sequences, reward: written.numberValue)
    }

    func tokens(_ members: [String: JSONValue], _ name: String) throws(DataError) -> RecordedSequence {
      for value in members["tokens"]?.listValue ?? [] where value.integerValue == nil {
        throw fault(
          "\(name) has a token that is \(value.kind)", "use whole numbers from 0 to \(vocabularySize - 1)")
      }
      let ids = (members["tokens"]?.listValue ?? []).map { $0.integerValue ?? -1 }
      let flags = (members["mask"]?.listValue ?? []).map { $0.boolValue.map { $0 ? 1 : 0 } ?? $0.integerValue ?? -1 }
      guard !ids.isEmpty, ids.count == flags.count else {
        throw fault(
          "\(name) has \(ids.count) tokens and a mask of \(flags.count)",
          "give steps, or tokens and a mask of one length")
      }
      if let bad = ids.first(where: { !(0..<vocabularySize).contains($0) }) {
        throw fault("\(name) has a token \(bad)", "use whole numbers from 0 to \(vocabularySize - 1)")
      }
      guard flags.allSatisfy({ $0 == 0 || $0 == 1 }), flags[0] == 0 else {
        throw fault("the mask of \(name) is not 0 and then 0s and 1s", "the first token cannot be generated")
      }
      return RecordedSequence(
        tokens: ids.map { Int32($0) }, mask: flags.map { $0 == 1 },
        logProbabilities: try logProbabilities(members["logprobs"], count: flags.reduce(0, +), name))
    }

    func logProbabilities(_ value: JSONValue?, count: Int, _ name: String) throws(DataError) -> [Float]? {
      guard let value, value != .null else { return nil }
      let numbers = (value.listValue ?? []).compactMap(\.numberValue)
      guard numbers.count == count, numbers.count == value.listValue?.count, numbers.allSatisfy({ $0 <= 1e-4 }) else {
        throw fault(
          "the logprobs of \(name) are not \(count) numbers of at most 0",
          "give one for each generated token, or leave out logprobs")
      }
      if let missing = numbers.first(where: { $0 < Self.minimumLogProbability }) {
        throw fault(
          "the logprobs of \(name) contain \(missing), which is not a log-probability",
          "give the log-probability with which the token was drawn, at least \(Self.minimumLogProbability), or leave out logprobs"
        )
      }
      return numbers.map { Float($0) }
    }

    /// A sequence under construction, which steps extend.
    struct SequenceBuilder {
      var text: String
      var tokens: [Int32]
      var mask: [Bool]
      var logProbabilities: [Float]? = []
    }

    func sequences(_ value: JSONValue, finished: Bool, _ name: String, _ question: String) throws(DataError)
      -> [RecordedSequence]
    {
      guard let steps = value.listValue, !steps.isEmpty else {
        throw fault("the steps of \(name) are missing", "give a list of {state, action}")
      }
      var sequences: [SequenceBuilder] = []
      for (index, step) in steps.enumerated() {
        guard let members = step.objectValue, let action = members["action"]?.textValue,
          let state = (members["state"] ?? .text("")).textValue,
          let ownQuestion = (members["question"] ?? .text(question)).textValue
        else {
          throw fault(
            "step \(index) of \(name) has no action, or a member that is not a string", "give state and action")
        }
        let read = state.hasPrefix(ownQuestion) ? state : ownQuestion + state
        if let last = sequences.last, read.utf8.starts(with: last.text.utf8) {
          let added = tokenizer.encode(bytes: Array(read.utf8.dropFirst(last.text.utf8.count)))
          sequences[sequences.count - 1].tokens += added
          sequences[sequences.count - 1].mask += added.map { _ in false }
        } else {
          let tokens = tokenizer.encode(read)
          guard !tokens.isEmpty else {
            throw fault("step \(index) of \(name) begins with nothing", "give a question or a state before the action")
          }
          sequences.append(SequenceBuilder(text: "", tokens: tokens, mask: tokens.map { _ in false }))
        }
        var written = tokenizer.encode(action)
        let isContinued = index + 1 < steps.count && extends(steps[index + 1], read + action, question)
        if finished, !isContinued { written.append(tokenizer.answerEnd) }
        let recorded = try logProbabilities(members["logprobs"], count: written.count, "step \(index) of \(name)")
        let last = sequences.count - 1
        sequences[last].tokens += written
        sequences[last].mask += written.map { _ in true }
        sequences[last].text = read + action
        if let recorded, let before = sequences[last].logProbabilities {
          sequences[last].logProbabilities = before + recorded
        } else {
          sequences[last].logProbabilities = nil
        }
      }
      return sequences.map { RecordedSequence(tokens: $0.tokens, mask: $0.mask, logProbabilities: $0.logProbabilities) }
    }

    /// Whether a step's input begins with `text`.
    func extends(_ step: JSONValue, _ text: String, _ question: String) -> Bool {
      let members = step.objectValue ?? [:]
      let ownQuestion = members["question"]?.textValue ?? question
      let state = members["state"]?.textValue ?? ""
      let read = state.hasPrefix(ownQuestion) ? state : ownQuestion + state
      return read.utf8.starts(with: text.utf8)
    }
  }
}
