import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Members of prompts")
struct PromptMembersTests {
  private func prompts(_ lines: String, _ members: PromptMembers = PromptMembers()) throws -> [Prompt] {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    return try PromptFile.prompts(at: folder.write(lines, to: "data.jsonl"), members: members)
  }

  @Test("Mapped members give prompt and answer, and stay available under their own names")
  func mapping() throws {
    let prompts = try prompts(
      #"{"question": "1+1", "solution": "2", "answer": "two"}"#, PromptMembers(prompt: "question", answer: "solution"))
    #expect(prompts[0].text == "1+1" && prompts[0].answer == "2")
    #expect(
      prompts[0].fields == ["question": .text("1+1"), "solution": .text("2"), "answer": .text("two")])
  }

  @Test("A path leads into objects, unless a member has that very name")
  func paths() throws {
    let members = PromptMembers(answer: "reward_model.ground_truth")
    let line = #"{"prompt": "a", "reward_model": {"ground_truth": "b", "style": "rule"}"#
    #expect(try prompts(line + "}", members)[0].answer == "b")
    #expect(try prompts(line + #", "reward_model.ground_truth": "c"}"#, members)[0].answer == "c")
  }

  @Test("A missing member is reported with the members of the line and the key")
  func missing() throws {
    let error = #expect(throws: DataError.self) { try prompts(#"{"question": "1+1", "solution": "2"}"#) }
    #expect(error?.problem == "'prompt' is missing" && error?.line == 1)
    #expect(error?.remedy?.contains("data.members.prompt (the line has question, solution)") == true)
  }

  @Test(
    "Messages become a conversation; the last message of the assistant is the answer",
    arguments: ["prompt", "messages"])
  func messages(name: String) throws {
    let list =
      #"[{"role": "system", "content": "Add."}, {"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]"#
    let prompt = try prompts("{\"\(name)\": \(list)}")[0]
    #expect(
      prompt.messages == [ChatMessage(role: "system", content: "Add."), ChatMessage(role: "user", content: "1+1")])
    #expect(prompt.answer == "2" && prompt.text == "system: Add.\nuser: 1+1")
    #expect(prompt.fields["messages"]?.listValue?.count == 3)
  }

  @Test("The answer of a conversation may be a member, as a string or as one message")
  func answers() throws {
    let messages = #""prompt": [{"role": "user", "content": "1+1"}]"#
    #expect(try prompts("{\(messages), \"answer\": \"2\"}")[0].answer == "2")
    let completion = #""completion": [{"role": "assistant", "content": "2"}]"#
    #expect(try prompts("{\(messages), \(completion)}", PromptMembers(answer: "completion"))[0].answer == "2")
  }

  @Test(
    "A faulty conversation is reported by its message",
    arguments: [
      ("[]", "'prompt' is an empty list"), ("[1]", "message 0 of 'prompt' is a number"),
      (#"[{"role": "user"}]"#, "'content' of message 0 of 'prompt' is missing"),
      (#"[{"role": "", "content": "a"}]"#, "the role of message 0 of 'prompt' is empty"),
      (#"[{"role": "user", "content": ["a"]}]"#, "'content' of message 0 of 'prompt' is a list"),
      (#"[{"role": "assistant", "content": "a"}]"#, "'prompt' has no message to answer"),
      (
        #"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#,
        "'prompt' ends with a message of the assistant"
      ),
    ])
  func faultyMessages(list: String, problem: String) {
    let error = #expect(throws: DataError.self) { try prompts("{\"prompt\": \(list), \"answer\": \"c\"}") }
    #expect(error?.problem.hasPrefix(problem) == true, "\(String(describing: error))")
  }
}
