import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Types in recorded trajectories")
struct TrajectoryTypeTests {
  private func fault(_ trajectory: String) throws -> DataError? {
    var fault: DataError?
    let folder = try TemporaryFolder()
    let file = try folder.write(
      Data("{\"question\": \"q\", \"trajectories\": [\(trajectory)]}\n".utf8), to: "recorded.jsonl")
    do throws(DataError) {
      _ = try TrajectoryFile.groups(at: file, tokenizer: ByteTokenizer(), vocabularySize: 259)
    } catch {
      fault = error
    }
    return fault
  }

  @Test(
    "'finished' is true or false, with steps and with tokens", arguments: ["\"false\"", "0", "1", "null", "[]", "\"\""])
  func finished(value: String) throws {
    for content in ["\"steps\": [{\"action\": \"c\"}]", "\"tokens\": [1, 2], \"mask\": [0, 1]"] {
      let error = try fault("{\"reward\": 1, \"finished\": \(value), \(content)}")
      #expect(error?.line == 1 && error?.description.contains("'finished' of trajectory 0") == true)
    }
    #expect(try fault("{\"reward\": 1, \"finished\": false, \"steps\": [{\"action\": \"c\"}]}") == nil)
  }

  @Test(
    "A reward is a number within the limits, or null", arguments: ["\"1\"", "true", "[1]", "1e300", "-1e13"])
  func reward(value: String) throws {
    let error = try fault("{\"reward\": \(value), \"steps\": [{\"action\": \"c\"}]}")
    #expect(error?.line == 1 && error?.description.contains("reward of trajectory 0") == true)
    #expect(try fault("{\"reward\": -1e12, \"steps\": [{\"action\": \"c\"}]}") == nil)
  }

  @Test("Tokens are whole numbers", arguments: ["\"2\"", "2.0", "true", "null", "18446744073709551615"])
  func tokens(value: String) throws {
    let error = try fault("{\"reward\": 1, \"tokens\": [1, \(value)], \"mask\": [0, 1]}")
    #expect(error?.line == 1 && error?.description.contains("has a token") == true)
  }
}
