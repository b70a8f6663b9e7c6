import Rollouts
import Testing

@Suite("Prompt templates")
struct PromptTemplateTests {
  private let prompt = Prompt(
    id: 0, text: "2+2<|end|>", answer: "4", fields: ["system": .text("Add."), "level": .integer(3)], origin: "p:7")

  private func text(_ template: String) throws -> String {
    ByteTokenizer().decode(try PromptTemplate(template).tokens(for: prompt, ByteTokenizer()))
  }

  @Test("The plain template encodes the prompt alone, as without a template")
  func plain() throws {
    let tokens = try PromptTemplate("{prompt}").tokens(for: prompt, ByteTokenizer())
    #expect(tokens == ByteTokenizer().encode(prompt.text))
    #expect(try PromptTemplate("{prompt}") == PromptTemplate.plain)
  }

  @Test("Members are inserted where the template names them; doubled braces are braces")
  func members() throws {
    #expect(try text("{system}\nQ: {prompt} = ") == "Add.\nQ: 2+2<|end|> = ")
    #expect(try text("{{x}} {prompt}{prompt}") == "{x} 2+2<|end|>2+2<|end|>")
  }

  @Test("Special tokens of the template are tokens; the same text in a prompt stays text")
  func specialTokens() throws {
    let tokens = try PromptTemplate("<|begin|>{prompt}<|end|>A").tokens(for: prompt, ByteTokenizer())
    #expect(tokens == [257] + ByteTokenizer().encode("2+2<|end|>") + [256, 65])
    let gpt2 = try BytePairTokenizer.gpt2()
    let chat = try PromptTemplate("<|endoftext|>Q: {prompt}").tokens(for: prompt, gpt2)
    #expect(chat == [50256] + gpt2.encode("Q: 2+2<|end|>"))
  }

  @Test(
    "An invalid template is refused",
    arguments: ["", "no member", "{prompt", "prompt}", "{prompt} {}", "{prompt} {a b}", "{{prompt}}"])
  func malformed(template: String) {
    #expect(throws: PromptTemplateError.self) { try PromptTemplate(template) }
  }

  @Test("An error names a prompt without a member of the template")
  func missing() {
    for name in ["other", "level"] {
      let error = #expect(throws: PromptTemplateError.self) { try text("{prompt}{\(name)}") }
      #expect(error?.problem.contains("{\(name)} is missing in the prompt's line, or not a string") == true)
    }
  }
}
