/// How the prompts of a source become the model's input.
public struct PromptForm: Equatable, Sendable {
  public var template: PromptTemplate
  /// Maximum tokens of a prompt.
  public var maximumLength: Int

  public init(template: PromptTemplate, maximumLength: Int) {
    self.template = template
    self.maximumLength = maximumLength
  }
}
