import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Recorded trajectories")
struct TrajectoryFileTests {
  @Test("A placeholder for a log-probability is refused with its line", arguments: [-9999.0, -1e30, -1000.5])
  func missingLogProbability(value: Double) throws {
    func line(_ number: Double) -> String {
      "{\"question\":\"a\",\"trajectories\":[{\"reward\":0,\"tokens\":[97,98],\"mask\":[0,1],\"logprobs\":[\(number)]}]}\n"
    }
    let error = #expect(throws: DataError.self) { try groups(line(-1000) + line(value)) }
    #expect(error?.line == 2 && error?.problem.hasSuffix("which is not a log-probability") == true)
    #expect(try groups(line(-1000))[0].trajectories[0].sequences[0].logProbabilities == [-1000])
  }

  private func groups(_ lines: String) throws -> [RecordedGroup] {
    var groups: [RecordedGroup] = []
    let folder = try TemporaryFolder()
    let file = try folder.write(Data(lines.utf8), to: "recorded.jsonl")
    groups = try TrajectoryFile.groups(at: file, tokenizer: ByteTokenizer(), vocabularySize: 259)
    return groups
  }

  private func text(_ sequence: RecordedSequence, generated: Bool) -> String {
    let places = sequence.tokens.indices.filter { sequence.mask[$0] == generated }
    return String(
      places.map { sequence.tokens[$0] == 256 ? "$" : Character(Unicode.Scalar(UInt8(sequence.tokens[$0]))) })
  }

  @Test("Steps whose states extend one another are one sequence, of which only the actions are generated")
  func merged() throws {
    let group = try #require(
      try groups(
        """
        {"question": "Q", "trajectories": [{"reward": 1, "steps": [
          {"state": "", "action": "ab"}, {"state": "Qab>1", "action": "c"}, {"state": "ab>1c>2", "action": "d"}]}]}
        """.replacing("\n", with: " ")
      ).first)
    #expect(group.question == "Q" && group.trajectories.count == 1 && group.trajectories[0].reward == 1)
    let sequence = try #require(group.trajectories[0].sequences.first)
    #expect(group.trajectories[0].sequences.count == 1)
    #expect(String(decoding: sequence.tokens.dropLast().map { UInt8($0) }, as: UTF8.self) == "Qab>1c>2d")
    #expect(text(sequence, generated: true) == "abcd$")
    #expect(text(sequence, generated: false) == "Q>1>2")
    #expect(sequence.logProbabilities == nil)
  }

  @Test("Steps with other inputs are separate sequences, with the question in front")
  func separate() throws {
    let line =
      #"{"question": "Q", "trajectories": [{"reward": null, "finished": false, "steps": ["#
      + #"{"state": "x", "action": "a", "logprobs": [-1]}, {"state": "y", "action": "b", "question": "R", "logprobs": [-2]}]}]}"#
    let trajectory = try groups(line)[0].trajectories[0]
    #expect(trajectory.reward == nil)
    #expect(trajectory.sequences.map { text($0, generated: false) } == ["Qx", "Ry"])
    #expect(trajectory.sequences.map { text($0, generated: true) } == ["a", "b"])
    #expect(trajectory.sequences.map(\.logProbabilities) == [[-1], [-2]])
  }

  @Test("Tokens with a mask are used unchanged")
  func tokens() throws {
    let line =
      #"{"trajectories": [{"reward": 0.5, "tokens": [1, 2, 3, 4], "mask": [0, 1, false, true], "logprobs": [-0.5, -1.5]},"#
      + #"{"reward": 0, "tokens": [1, 2], "mask": [0, 1]}]}"#
    let trajectories = try groups(line)[0].trajectories
    #expect(
      trajectories[0].sequences == [
        RecordedSequence(tokens: [1, 2, 3, 4], mask: [false, true, false, true], logProbabilities: [-0.5, -1.5])
      ])
    #expect(trajectories[1].sequences[0].logProbabilities == nil)
  }

  @Test(
    "Trajectories that cannot be trained on are refused with their line",
    arguments: [
      (#"{"question": "q"}"#, "trajectories"), (#"{"trajectories": []}"#, "at least one"),
      (#"{"trajectories": [{"tokens": [1, 2], "mask": [0, 1]}]}"#, "reward"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 2], "mask": [0]}]}"#, "2 tokens and a mask of 1"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 259], "mask": [0, 1]}]}"#, "token 259"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 2], "mask": [1, 1]}]}"#, "mask"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 2], "mask": [0, 0]}]}"#, "none generated"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 2], "mask": [0, 1], "logprobs": [1, 2]}]}"#, "logprobs"),
      (#"{"trajectories": [{"reward": 1, "tokens": [1, 2], "mask": [0, 1], "logprobs": [0.5]}]}"#, "logprobs"),
      (#"{"trajectories": [{"reward": 1, "steps": []}]}"#, "steps"),
      (#"{"trajectories": [{"reward": 1, "steps": [{"state": "x"}]}]}"#, "action"),
      (#"{"trajectories": [{"reward": 1, "steps": [{"action": "x"}]}]}"#, "begins with nothing"),
    ])
  func malformed(line: String, expected: String) {
    let error = #expect(throws: DataError.self) { try groups("\n" + line) }
    #expect(error?.line == 2)
    #expect(error.map { "\($0)".contains(expected) } == true, "\(error.map { "\($0)" } ?? "")")
  }
}
